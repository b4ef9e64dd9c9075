"""One block trained in plain PyTorch, and by its exported step graph on ONNX Runtime: the judge of exports.

Nothing of edgebll's learning code takes part in the first: the user's own module, a pooled linear classifier, autograd and SGD
written out. The two start from the same weights and see the same batches.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from safetensors.numpy import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.learning import SGD, Greedy
from edgebll.learning.networks import BlockNetwork
from edgebll_export import export_bundle

BATCH, CLASSES, LR, STEPS = 4, 3, 0.1, 6
#: Largest difference of a weight after STEPS steps, over how far it moved.
TOLERANCE = 1e-3
Examples = Callable[[torch.Generator], Tensor]


def normal(*shape: int) -> Examples:
    """Batches of normal samples of a shape."""
    return lambda generator: torch.randn(BATCH, *shape, generator=generator)


def batches(examples: Examples, steps: int = STEPS) -> list[tuple[Tensor, Tensor]]:
    """Seeded inputs and labels."""
    generator = torch.Generator().manual_seed(5)
    return [(examples(generator), torch.randint(0, CLASSES, (BATCH,), generator=generator)) for _ in range(steps)]


def network_of(block: nn.Module, example: Tensor, **options: object) -> BlockNetwork:
    """The block, and a linear classifier behind it; the block is not changed."""
    with torch.no_grad():
        features = copy.deepcopy(block).eval()(example)[0].numel()
    last = nn.Sequential(nn.Flatten(), nn.Linear(features, CLASSES))
    shape = tuple(example.shape[1:])
    return BlockNetwork([block, last], num_classes=CLASSES, input_shape=shape, **options)  # type: ignore[arg-type]


def export(network: BlockNetwork, folder: Path, **options: object) -> None:
    """Export under greedy learning with a globally pooled linear classifier and plain SGD."""
    optimizer = SGD(lr=LR, momentum=0.0, nesterov=False, weight_decay=0.0)
    rule = Greedy(head_size=1)
    export_bundle(network, rule=rule, optimizer=optimizer, batch_size=BATCH, path=folder, **options)  # type: ignore[arg-type]


def by_graph(bundle: Path, seen: Sequence[tuple[Tensor, Tensor]], block: str = "block0") -> Iterator[Mapping[str, np.ndarray]]:
    """The block's state, with what is frozen in it, before the first and after each step of step.onnx."""
    state = load_file(bundle / block / "state.safetensors")
    frozen = bundle / block / "constants.safetensors"
    constants = load_file(frozen) if frozen.exists() else {}
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(bundle / block / "step.onnx"), options)
    names = {value.name for value in session.get_inputs()}
    outputs = [value.name for value in session.get_outputs()]
    yield {**constants, **state}
    for x, y in seen:
        feeds = {**state, "x": x.numpy(), "y": F.one_hot(y, CLASSES).float().numpy(), "lr": np.array(LR, np.float32)}
        found = dict(zip(outputs, session.run(outputs, {n: v for n, v in feeds.items() if n in names}), strict=True))
        state = {n.removesuffix(".next"): v for n, v in found.items() if n.endswith(".next")}
        yield {**constants, **state}


def by_pytorch(
    block: nn.Module,
    start: Mapping[str, np.ndarray],
    seen: Sequence[tuple[Tensor, Tensor]],
    dtype: torch.dtype = torch.float32,
) -> nn.Module:
    """Train the block itself, in the modes its layers are in, with the classifier that the bundle starts from.

    Args:
        block: of tensors of `dtype`; it is changed.
        start: the bundle's state.
        seen: inputs and labels of each step; a block that works in place gets a copy.
        dtype: what to compute in.
    """
    head = nn.Linear(start["head.weight"].shape[1], CLASSES, dtype=dtype)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(start["head.weight"]))
        head.bias.copy_(torch.from_numpy(start["head.bias"]))
    parameters = [p for p in [*block.parameters(), *head.parameters()] if p.requires_grad]
    for x, y in seen:
        a = block(x.to(dtype if x.is_floating_point() else x.dtype, copy=True))
        for p in parameters:
            p.grad = None
        F.cross_entropy(head(a.flatten(2).mean(2) if a.dim() > 2 else a), y).backward()
        with torch.no_grad():
            for p in parameters:
                p -= LR * (0 if p.grad is None else p.grad)
    return block


def largest_error(state: Mapping[str, np.ndarray], block: nn.Module, start: Mapping[str, np.ndarray]) -> float:
    """The largest difference of any parameter or buffer of floats, over how far it moved (or 1e-3, if that is more)."""
    named = dict(block.named_parameters(remove_duplicate=False)) | dict(block.named_buffers(remove_duplicate=False))
    worst = 0.0
    for name, value in named.items():
        if not value.is_floating_point():
            continue
        if f"net.{name}" not in start:
            return np.inf  # a tensor that the state lacks is one that nobody trained
        expected = value.detach().numpy().astype(np.float64)
        moved = max(float(np.abs(expected - start[f"net.{name}"]).max(initial=0.0)), 1e-3)
        error = float(np.abs(state[f"net.{name}"] - expected).max(initial=0.0)) / moved
        worst = max(worst, error if np.isfinite(error) else np.inf)
    return worst


def error_of(make_block: Callable[[], nn.Module], folder: Path, examples: Examples, **options: object) -> float:
    """Export a block and train it twice; the largest error of its tensors after STEPS steps.

    Args:
        make_block: a new block each time, with the same weights under the same seed. examples: its inputs.
        options: of BlockNetwork.
    """
    seen = batches(examples)
    torch.manual_seed(0)
    network = network_of(make_block(), seen[0][0], **options)
    export(network, folder / "bundle")
    states = list(by_graph(folder / "bundle", seen))
    torch.manual_seed(0)
    trained = by_pytorch(make_block(), states[0], seen)
    return largest_error(states[-1], trained, states[0])
