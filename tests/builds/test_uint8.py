"""Blocks that take uint8, exported for TensorRT: they build without a warning and compute what plain PyTorch does."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from support import tensorrt_builds
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.errors import ExportError
from edgebll.learning import SGD, make_rule
from edgebll.learning.networks import BlockNetwork
from edgebll_export import export_bundle, make_target
from edgebll_export.targets.tensorrt import VERSIONS

BATCH, LR, STEPS = 4, 0.1, 6


class Pixels(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(64, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.float() / 255)


class Tokens(nn.Module):
    """Indices and a comparison, which TensorRT has in no uint8."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.last = nn.Embedding(256, 2), nn.Linear(216, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last((self.table(x.long()) * (x > 100).unsqueeze(-1)).flatten(1))


class Turned(Pixels):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(2, 3))


def exported(make: Callable[[], nn.Module], target: str, precision: str, path: Path) -> BlockNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = BlockNetwork([make()], 3, (3, 6, 6), input_dtype="uint8", input_range=(0, 255))
    optimizer = SGD(lr=LR, momentum=0.0, nesterov=False, weight_decay=0.0)
    how: dict[str, Any] = {"batch_size": BATCH, "path": path, "target": make_target(target), "precision": precision}
    export_bundle(network, rule=make_rule("backprop"), optimizer=optimizer, **how)
    return network


@pytest.mark.parametrize("target", VERSIONS)
@pytest.mark.parametrize("make", [Pixels, Tokens])
def test_six_steps_equal_plain_pytorch(make: Callable[[], nn.Module], target: str, tmp_path: Path) -> None:
    plain = copy.deepcopy(exported(make, target, "float32", tmp_path / "bundle").blocks[0])
    start = {name: value.clone() for name, value in plain.state_dict().items()}
    bundle = open_bundle(tmp_path / "bundle")
    session = onnxruntime.InferenceSession(bundle.graph("block0", "step"), providers=["CPUExecutionProvider"])
    names, state = [output.name for output in session.get_outputs()], bundle.state("block0")
    generator = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        x = torch.randint(256, (BATCH, 3, 6, 6), generator=generator, dtype=torch.uint8)
        labels = torch.randint(3, (BATCH,), generator=generator)
        fed = {"x": x.numpy(), "y": torch.eye(3)[labels].numpy(), "lr": np.asarray(LR, np.float32)}
        results = dict(zip(names, session.run(names, {**state, **fed}), strict=True))
        state = {name: results[f"{name}.next"] for name in state}
        plain.zero_grad()
        F.cross_entropy(plain(x), labels).backward()
        with torch.no_grad():
            for parameter in plain.parameters():
                parameter -= LR * parameter.grad
    for name, value in plain.state_dict().items():
        moved = max(float((value - start[name]).abs().max()), 1e-3)
        assert float((value - torch.from_numpy(state[f"net.{name}"])).abs().max()) < 1e-3 * moved, name


@pytest.mark.skipif(not tensorrt_builds.AVAILABLE, reason=tensorrt_builds.WHY_NOT)
@pytest.mark.parametrize(
    ("make", "target", "precision"),
    [(Pixels, "tensorrt-8.5", "float32"), (Tokens, "tensorrt-8.5", "mixed"), (Pixels, "tensorrt-10", "bfloat16")],
)
def test_they_build(make: Callable[[], nn.Module], target: str, precision: str, tmp_path: Path) -> None:
    exported(make, target, precision, tmp_path / "bundle")
    bundle = open_bundle(tmp_path / "bundle")
    for graph in ("forward", "step"):
        built = tensorrt_builds.build(graph, bundle.graph("block0", graph), ("SM86",))
        assert built.engine
        assert built.warnings == ()


def test_moving_bytes_is_refused_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"TensorRT 8.5 takes no uint8 in Transpose; convert it with .float\(\) before"):
        exported(Turned, "tensorrt-8.5", "float32", tmp_path / "bundle")
