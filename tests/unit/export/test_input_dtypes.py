"""Blocks on whole numbers and on positive ones learn what plain PyTorch does: six cumulative steps, not one line of ours."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.bundle import open_bundle
from edgebll.learning import SGD, Greedy
from edgebll.networks import BlockNetwork
from edgebll_export import export_bundle, verify_bundle

BATCH, CLASSES, LR, STEPS = 4, 3, 0.1, 6


class Tokens(nn.Module):
    """int64 tokens from 0 to 9."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.mix = nn.Embedding(10, 4), nn.Linear(20, 6)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.mix(self.table(x).flatten(1)))


class FloatTokens(Tokens):
    """The same tokens declared as float32."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.long())


class Pixels(nn.Module):
    """uint8 images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv(x.float() / 255)).mean((2, 3))


class Logarithm(nn.Module):
    """Positive numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(5, 6)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.mix(torch.log(x)))


class OneHot(nn.Module):
    """Whole numbers from 0 to 6, declared as float32."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(35, 6)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.mix(F.one_hot(x.long(), 7).float().flatten(1)))


@dataclass(frozen=True)
class Case:
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    samples: Callable[[torch.Generator, tuple[int, ...]], Tensor]


def _whole(low: int, high: int, dtype: torch.dtype) -> Callable[[torch.Generator, tuple[int, ...]], Tensor]:
    return lambda generator, shape: torch.randint(low, high, shape, generator=generator).to(dtype)


CASES = {
    "int64 tokens": Case(Tokens, (5,), _whole(0, 10, torch.int64)),
    "int32 tokens": Case(Tokens, (5,), _whole(0, 10, torch.int32)),
    "tokens in float32": Case(FloatTokens, (5,), _whole(0, 10, torch.float32)),
    "uint8 pixels": Case(Pixels, (3, 6, 6), _whole(0, 256, torch.uint8)),
    "logarithm": Case(Logarithm, (5,), lambda generator, shape: torch.rand(shape, generator=generator) + 0.01),
    "one hot": Case(OneHot, (5,), _whole(0, 7, torch.float32)),
}


@pytest.mark.parametrize("name", list(CASES))
def test_six_steps_are_those_of_plain_pytorch(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    generator = torch.Generator().manual_seed(5)
    batches = [
        (case.samples(generator, (BATCH, *case.shape)), torch.randint(0, CLASSES, (BATCH,), generator=generator))
        for _ in range(STEPS)
    ]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        block, last = case.make(), nn.Linear(6, CLASSES)
    network = BlockNetwork([block, last], CLASSES, case.shape, example_inputs=batches[0][0])
    optimizer = SGD(lr=LR, momentum=0.0, nesterov=False, weight_decay=0.0)
    export_bundle(network, rule=Greedy(head_size=1), optimizer=optimizer, batch_size=BATCH, path=tmp_path / "bundle")
    bundle = open_bundle(tmp_path / "bundle")
    spec = bundle.manifest.block("block0")
    assert (spec.input.dtype, spec.output.dtype) == (str(batches[0][0].dtype).removeprefix("torch."), "float32")

    start = bundle.state("block0")
    trained = _plain(block, start, batches)
    found = _exported(bundle.graph("block0", "step"), start, batches)
    for key, value in trained.items():
        moved = np.abs(value - start[key]).max()
        assert moved > 1e-3, f"{key} did not learn"
        assert np.abs(found[key] - value).max() < 1e-4 * moved, key
    assert not [row for row in verify_bundle(bundle.path, network=network, steps=2) if row.failed]


def _plain(block: nn.Module, start: Mapping[str, Any], batches: list[tuple[Tensor, Tensor]]) -> dict[str, Any]:
    """The block and its linear head trained by autograd and SGD."""
    block, head = copy.deepcopy(block), nn.Linear(6, CLASSES)
    with torch.no_grad():
        for name, parameter in head.named_parameters():
            parameter.copy_(torch.from_numpy(start[f"head.{name}"]))
    optimizer = torch.optim.SGD([*block.parameters(), *head.parameters()], lr=LR)
    for x, y in batches:
        optimizer.zero_grad()
        F.cross_entropy(head(block(x)), y).backward()
        optimizer.step()
    both = {"net": block, "head": head}
    return {f"{p}.{name}": value.detach().numpy() for p, m in both.items() for name, value in m.named_parameters()}


def _exported(graph: bytes, start: Mapping[str, Any], batches: list[tuple[Tensor, Tensor]]) -> dict[str, Any]:
    """The exported step, run one after another."""
    session = onnxruntime.InferenceSession(graph)
    outputs = [output.name for output in session.get_outputs()]
    state = dict(start)
    for x, y in batches:
        labels = np.eye(CLASSES, dtype=np.float32)[y.numpy()]
        result = session.run(outputs, {**state, "x": x.numpy(), "y": labels, "lr": np.array(LR, np.float32)})
        named = dict(zip(outputs, result, strict=True))
        state = {name: named[f"{name}.next"] for name in state}
    return state
