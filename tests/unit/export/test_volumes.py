"""Blocks with three axes in space and more, under every rule: exported steps against plain PyTorch, six steps in a row."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from support.plain_rules import CLASSES, LOSSES, SPACE, linear_head, one_hot
from support.slow import slow_after
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.learning import SGD, BlockStep, make_rule, make_steps
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.networks.block_network import Unit
from edgebll_export.bundles.block_models import block_models

STEPS, BATCH, LR = 6, 6, 0.1


class Frames(nn.Module):
    """A network of images on every frame of (B, T, C, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.images = nn.Sequential(nn.Conv2d(2, 4, 3, (2, 1), (1, 0), bias=False), nn.BatchNorm2d(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.images(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def volume() -> list[nn.Module]:
    return [nn.Conv3d(1, 4, 3, 2, 1, bias=False), nn.BatchNorm3d(4)]


#: Layers of the first block, but for its last ones, and the shape of its input; all give (4, 4, 5, 4), or that after folding.
BLOCKS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "volume": (volume, (1, 8, 9, 8)),
    "frames": (lambda: [Frames()], (4, 2, 10, 6)),
    "five axes": (lambda: [*volume(), nn.Unflatten(2, (2, 2))], (1, 8, 9, 8)),
}


def network(kind: str) -> BlockNetwork:
    """Two blocks; the second starts with a unit that takes any number of axes."""
    make, shape = BLOCKS[kind]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = nn.Sequential(*make(), nn.Tanh(), nn.Linear(4, 4))
        last = nn.Sequential(nn.Linear(4, 4), nn.Flatten(), nn.Linear(4 * 4 * 5 * 4, CLASSES))
    unit = Unit(last[0], 1, lambda shape, _: nn.Sequential(nn.Linear(shape[-1], 4), nn.Tanh()))
    return BlockNetwork([first, last], CLASSES, shape, units=[[], [unit]])


def batches(shape: tuple[int, ...], count: int = STEPS) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(5)
    for _ in range(count):
        yield torch.randn(BATCH, *shape, generator=generator), torch.randint(CLASSES, (BATCH,), generator=generator)


def steps_of(made: BlockNetwork, rule: str, options: dict[str, Any]) -> list[BlockStep]:
    optimizer = SGD(lr=LR, momentum=0.0, nesterov=False, weight_decay=0.0)
    return make_steps(made, make_rule(rule, **options), optimizer, BATCH)


class Graph:
    """A block's exported step on ONNX Runtime, which alone carries its state."""

    def __init__(self, step: BlockStep) -> None:
        self.state = {name: value.numpy() for name, value in step.initial_state().items()}
        content = block_models(step).models["step"].SerializeToString()
        self.session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def __call__(self, x: Tensor, labels: Tensor, **received: np.ndarray) -> dict[str, np.ndarray]:
        names = [output.name for output in self.session.get_outputs()]
        fed = {"x": x.numpy(), "y": one_hot(labels).numpy(), "lr": np.asarray(LR, np.float32)}
        results = dict(zip(names, self.session.run(names, {**self.state, **fed, **received}), strict=True))
        self.state = {name: results[f"{name}.next"] for name in self.state}
        return results

    def compare(self, start: dict[str, np.ndarray], expected: dict[str, Tensor]) -> None:
        """Every tensor of plain PyTorch's, by how far it moved."""
        assert expected
        for name, value in expected.items():
            moved = max(float(np.abs(value.detach().numpy() - start[name]).max()), 1e-3)
            error = float(np.abs(value.detach().numpy() - self.state[name]).max()) / moved
            assert error < 1e-3, f"{name} is {error:.1e} off"


def named(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    kept = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {prefix + name: value for name, value in kept.items() if "num_batches" not in name}


def head_of(step: BlockStep, prefix: str = "head.") -> dict[str, Tensor]:
    """The auxiliary network's tensors at the start; what has a gradient is trained."""
    tensors = {k.removeprefix(prefix): v for k, v in step.initial_state().items() if k.startswith(prefix)}
    return {name: value.requires_grad_("running" not in name) for name, value in tensors.items()}


def folded(a: Tensor) -> Tensor:
    return a if a.dim() == 5 else a.flatten(2, 3)


#: Frames have as many axes as a volume: to the heads they are the same.
CASES = [(name, kind) for name in LOSSES for kind in BLOCKS if kind != "frames" or name in ("bll", "sim", "infopro")]


@pytest.mark.parametrize(("name", "kind"), slow_after(len(CASES) // 3, CASES))
def test_six_steps_equal_plain_pytorch(name: str, kind: str) -> None:
    rule, options, loss = LOSSES[name]
    made = network(kind)
    step = steps_of(made, rule, options)[0]
    graph, block, head, memory = Graph(step), copy.deepcopy(made.blocks[0]).train(), head_of(step), {}  # type: ignore[var-annotated]
    start = dict(graph.state)
    trained = [value for value in (*block.parameters(), *head.values()) if value.requires_grad]
    for x, labels in batches(made.input_shape):
        graph(x, labels)
        a = folded(block(x))
        assert a.shape[2:] == SPACE
        gradients = torch.autograd.grad(loss(a, labels, head, x, memory), trained)
        with torch.no_grad():
            for value, gradient in zip(trained, gradients, strict=True):
                value -= LR * gradient
    graph.compare(start, {**named(block, "net."), **{f"head.{key}": value for key, value in head.items()}})


@pytest.mark.parametrize("kind", BLOCKS)
def test_six_steps_of_backlink_equal_plain_pytorch(kind: str) -> None:
    """A block's update waits for the next block's gradient, so the graphs take one step more, whose own update waits too."""
    made = network(kind)
    steps = steps_of(made, "backlink", {"alpha": 0.3})
    first, second = map(Graph, steps)
    block, last, head = *map(copy.deepcopy, made.blocks), head_of(steps[0])
    start, back = dict(first.state), np.zeros(steps[0].spec.received[0].shape, np.float32)
    for x, labels in batches(made.input_shape, STEPS + 1):
        sent = first(x, labels, **{steps[0].spec.received[0].name: back})
        came = {spec.name: sent[name] for spec, name in zip(steps[1].spec.received, ("entry", "tail"), strict=True)}
        back = second(torch.from_numpy(sent["a"]), labels, **came)["grad"]
    for x, labels in batches(made.input_shape):
        _plain_backlink(block, last, head, x, labels)
    expected = {**named(block, "net."), **{f"head.{key}": value for key, value in head.items()}}
    trained = {name: value for name, value in expected.items() if "running" not in name}
    first.compare(start, trained)


def _plain_backlink(block: nn.Module, last: nn.Module, head: dict[str, Tensor], x: Tensor, labels: Tensor) -> None:
    entry = block[:-1](x)
    local = linear_head(folded(block[-1](entry)), labels, head, x, {})
    following = F.cross_entropy(last(block[-1](entry.detach())), labels)
    own = [*block.parameters(), *head.values()]
    gradients = dict(zip(map(id, own), torch.autograd.grad(local, own), strict=True))
    tail, after = list(block[-1].parameters()), list(last.parameters())
    theirs = torch.autograd.grad(following, [*tail, *after])
    with torch.no_grad():
        for value, gradient in zip(tail, theirs, strict=False):
            gradients[id(value)] = 0.3 * gradients[id(value)] + 0.7 * gradient
        for value in own:
            value -= LR * gradients[id(value)]
        for value, gradient in zip(after, theirs[len(tail) :], strict=True):
            value -= LR * gradient
