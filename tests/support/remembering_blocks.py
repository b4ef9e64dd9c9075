"""Blocks that keep something between calls, or draw random numbers that are not PyTorch's, where no attribute may show it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

Scale = Callable[[], float]


class Scaled(nn.Module):
    """A linear layer whose input is scaled by what is asked for at each call."""

    def __init__(self, scale: Scale, only_training: bool = False) -> None:
        super().__init__()
        self.a, self.scale, self.only_training = nn.Linear(3, 6), scale, only_training

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x * self.scale()) if self.training or not self.only_training else self.a(x)


class Slotted:
    """An object without a __dict__."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def step(self) -> float:
        self.count += 1
        return 1 + 0.1 * self.count


class OfClass(nn.Module):
    """Counts in its class."""

    count = 0

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 6)

    def forward(self, x: Tensor) -> Tensor:
        OfClass.count += 1
        return self.a(x) * (1 + 0.1 * OfClass.count)


class Keeps(nn.Module):
    """Has an attribute `c`, which a function of the module, its linear layer's output and the input reads and writes."""

    c: Any

    def __init__(self, c: Any, forward: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 6), nn.Linear(6, 6)
        self.c, self.run = c, forward

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.tanh(self.run(self, self.a(x))))


COUNT = [0]


def of_global() -> float:
    """Counts in a global."""
    COUNT[0] += 1
    return 1 / COUNT[0]


def of_closure() -> Scale:
    """Counts in a closure."""
    count = 0

    def scale() -> float:
        nonlocal count
        count += 1
        return 1 + 0.1 * count

    return scale


def of_torch() -> Scale:
    """Draws from a generator of its own."""
    generator = torch.Generator().manual_seed(0)
    return lambda: torch.rand(1, generator=generator)  # type: ignore[return-value]


def of_default(_seen: list[float] = []) -> float:  # noqa: B006 (that is the case)
    """Counts in a default argument."""
    _seen.append(1.0)
    return 1 + 0.1 * len(_seen)


def generated() -> Iterator[float]:
    """A generator."""
    for count in itertools.count():
        yield 1 + 0.1 * count


def in_namespace(module: Any, h: Tensor) -> Tensor:
    """Counts in an object."""
    module.c.n += 1
    return h * (1 + 0.1 * module.c.n)


def in_nested(module: Any, h: Tensor) -> Tensor:
    """Counts in a dict in a dict."""
    module.c["d"]["n"] += 1
    return h * (1 + 0.1 * module.c["d"]["n"])


def in_array(module: Any, h: Tensor) -> Tensor:
    """Counts in a numpy array."""
    module.c[0] += 0.1
    return h * float(module.c[0])


def toggled(module: Any, h: Tensor) -> Tensor:
    """Does one thing and another in turn."""
    module.c = module.c != module.training
    return h if module.c else -h


def alternating(module: Any, h: Tensor) -> Tensor:
    """Goes to and fro, and reads that only in batches larger than are tried."""
    module.c = not module.c
    return -h if module.c and len(h) > 1000 else h


def every_third(module: Any, h: Tensor) -> Tensor:
    """Does something else at each third call."""
    module.c = (module.c + module.training) % 3
    return h if module.c else -h


def for_evaluation(module: Any, h: Tensor) -> Tensor:
    """Evaluates by what training kept."""
    if module.training:
        module.c = h.detach().mean(0)
        return h - h.mean(0)
    return h - module.c


def saturating(module: Any, h: Tensor) -> Tensor:
    """Warms up in its first calls alone."""
    module.c = min(module.c + 0.5, 1.0)
    return h * module.c


def forward_hooked() -> nn.Module:
    """A forward hook that counts."""
    block, scale = nn.Sequential(nn.Linear(3, 6)), of_closure()
    block[0].register_forward_hook(lambda module, inputs, output: output * scale())
    return block


def gradient_hooked() -> nn.Module:
    """A gradient hook that counts."""
    block, scale = nn.Sequential(nn.Linear(3, 6)), of_closure()
    block[0].weight.register_hook(lambda g: g * scale())
    return block


def cached(module: Any, h: Tensor) -> Tensor:
    """Makes a table once."""
    if module.c is None:
        module.c = torch.arange(6.0)
    return h + module.c


def logged(module: Any, h: Tensor) -> Tensor:
    """Keeps a log that nobody reads."""
    module.c.append(h.detach())
    return h


def counted(module: Any, h: Tensor) -> Tensor:
    """Keeps count in an object that nobody reads."""
    module.c.n += 1
    return h
