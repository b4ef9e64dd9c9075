"""Every normalisation behind a convolution or linear layer in half precision, against plain PyTorch under autocast."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from torch import nn
from torch.nn import functional as F

from edgebll.learning import SGD, make_rule, make_steps
from edgebll.learning.networks import BlockNetwork
from edgebll_export import make_target
from edgebll_export.bundles.block_models import block_models

STEPS, BATCH, LR, SCALE = 6, 6, 0.05, 1024.0
#: Of a weight's movement: bfloat16 has 8 binary digits.
TOLERANCE = 0.05
DTYPES = {"mixed": torch.float16, "bfloat16": torch.bfloat16}
TARGETS = {"mixed": "onnx", "bfloat16": "tensorrt-10"}
NORMS: dict[str, Callable[[], nn.Module]] = {
    "group": lambda: nn.GroupNorm(2, 4),
    "group, plain": lambda: nn.GroupNorm(2, 4, affine=False),
    "instance": lambda: nn.InstanceNorm2d(4),
    "instance, affine": lambda: nn.InstanceNorm2d(4, affine=True),
    "instance, tracking": lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
    "batch": lambda: nn.BatchNorm2d(4),
    "batch, plain": lambda: nn.BatchNorm2d(4, affine=False),
    "batch, without statistics": lambda: nn.BatchNorm2d(4, track_running_stats=False),
    "layer": lambda: nn.LayerNorm([4, 6, 6]),
    "layer, last axis": lambda: nn.LayerNorm(6, bias=False),
    "layer, plain": lambda: nn.LayerNorm(6, elementwise_affine=False),
    "root mean square": lambda: nn.RMSNorm(6),
    "local response": lambda: nn.LocalResponseNorm(3),
}
#: Without bias, whose gradient is rounding alone before some of these norms.
BEFORE: dict[str, Callable[[], list[nn.Module]]] = {
    "convolution": lambda: [nn.Conv2d(2, 4, 3, padding=1, bias=False)],
    "linear": lambda: [nn.Conv2d(2, 4, 1, bias=False), nn.Linear(6, 6, bias=False)],
}


def network(before: str, norm: str) -> BlockNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [*BEFORE[before](), NORMS[norm](), nn.Tanh(), nn.Flatten(), nn.Linear(144, 3)]
    return BlockNetwork([nn.Sequential(*layers)], 3, (2, 6, 6))


#: ONNX Runtime has no bfloat16 on processors; onnx's own evaluator has, but does not crop by Pad as the local response does.
CASES = [
    *(("mixed", before, norm) for before in BEFORE for norm in NORMS),
    *(("bfloat16", "convolution", norm) for norm in NORMS if norm != "local response"),
]


def runner(model: onnx.ModelProto) -> Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
    names = [output.name for output in model.graph.output]
    if any(tensor.elem_type == onnx.TensorProto.BFLOAT16 for tensor in _types(model)):
        evaluator = ReferenceEvaluator(model)
    else:
        evaluator = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    def run(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        found = evaluator.run(names, {name: value.numpy() for name, value in inputs.items()})
        return {name: torch.from_numpy(np.array(value)) for name, value in zip(names, found, strict=True)}

    return run


def _types(model: onnx.ModelProto) -> list[onnx.TypeProto.Tensor]:
    return [value.type.tensor_type for value in onnx.shape_inference.infer_shapes(model).graph.value_info]


@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight:UserWarning")
@pytest.mark.parametrize(("precision", "before", "norm"), CASES)
def test_six_steps_equal_plain_pytorch(precision: str, before: str, norm: str) -> None:
    made = network(before, norm)
    optimizer = SGD(lr=LR, momentum=0.0, nesterov=False, weight_decay=0.0)
    (step,) = make_steps(made, make_rule("backprop"), optimizer, BATCH, precision)
    run = runner(block_models(step, make_target(TARGETS[precision])).models["step"])
    state = dict(step.initial_state())
    start, plain = {name: value.clone() for name, value in state.items()}, copy.deepcopy(made.blocks[0]).train()
    generator = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        x, labels = torch.randn(BATCH, 2, 6, 6, generator=generator), torch.randint(3, (BATCH,), generator=generator)
        results = run({**state, "x": x, "y": torch.eye(3)[labels], "lr": torch.tensor(LR)})
        state = {name.removesuffix(".next"): value for name, value in results.items() if name.endswith(".next")}
        _plain_step(plain, x, labels, DTYPES[precision])
    for name, value in plain.state_dict().items():
        if "num_batches" not in name:
            moved = max(float((value - start[f"net.{name}"]).abs().max()), 1e-3)
            assert float((value - state[f"net.{name}"]).abs().max()) < TOLERANCE * moved, name


def _plain_step(module: nn.Module, x: torch.Tensor, labels: torch.Tensor, dtype: torch.dtype) -> None:
    with torch.autocast("cpu", dtype):
        logits = module(x)
    module.zero_grad()
    (F.cross_entropy(logits.float(), labels) * SCALE).backward()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter -= LR * parameter.grad / SCALE
