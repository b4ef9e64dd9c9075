"""A torch module as a pure function of named tensors: what a block and its auxiliary network both are to the training step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call


class PureModule:
    """A module whose parameters and buffers are state tensors; the module itself is never changed.

    Args:
        module: its current tensors are the initial state. prefix: of the state tensors' names, e.g. "net.".

    Attributes:
        initial: the state before the first step. trained: names of the parameters that gradients change.
    """

    def __init__(self, module: nn.Module, prefix: str) -> None:
        self.module = module
        self.prefix = prefix
        self.initial = {prefix + name: value.detach().clone() for name, value in _tensors(module).items()}
        self.trained = tuple(prefix + name for name, value in module.named_parameters() if value.requires_grad)
        self._buffers = [name for name, _ in module.named_buffers() if prefix + name in self.initial]
        self._counters = {n: (b.shape, b.dtype) for n, b in module.named_buffers() if prefix + n not in self.initial}

    def on(self, state: Mapping[str, Tensor], *, train: bool) -> PureCall:
        """The function of the module's inputs that `state`, which holds at least `initial`'s names, makes of it."""
        # Batch norm and the like write into their buffers: give them copies, to be read back.
        copies = {name: state[self.prefix + name].clone() for name in self._buffers}
        device = next((state[name].device for name in self.initial), None)
        counters = {n: torch.zeros(shape, dtype=dtype, device=device) for n, (shape, dtype) in self._counters.items()}
        tensors = {name.removeprefix(self.prefix): state[name] for name in self.initial}
        return PureCall(self, {**tensors, **copies, **counters}, train)


class PureCall:
    """A module on given tensors: call it with the module's inputs, then read `buffers`."""

    def __init__(self, owner: PureModule, tensors: dict[str, Tensor], train: bool) -> None:
        self._owner = owner
        self._tensors = tensors
        self._train = train

    def __call__(self, *inputs: Tensor) -> Any:
        """What the module returns; in training mode each call also moves the buffers that it would."""
        with _in_mode(self._owner.module, self._train):
            return functional_call(self._owner.module, self._tensors, inputs)

    @property
    def buffers(self) -> dict[str, Tensor]:
        """State tensors that are buffers, as the calls so far left them."""
        return {self._owner.prefix + name: self._tensors[name].detach() for name in self._owner._buffers}


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """While open, PyTorch's generator starts from `seed`; afterwards it is as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def _in_mode(module: nn.Module, train: bool) -> Iterator[None]:
    modes = [(child, child.training) for child in module.modules()]
    module.train(train)
    try:
        yield
    finally:
        for child, mode in modes:
            child.training = mode


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and those buffers a step can change or read.

    num_batches_tracked only matters to a batch norm without momentum, which averages over all batches; elsewhere it is left
    out, so that graphs stay free of integer counters.
    """
    counters = {
        f"{prefix}.num_batches_tracked" if prefix else "num_batches_tracked"
        for prefix, child in module.named_modules()
        if getattr(child, "momentum", None) is not None
    }
    buffers = {name: value for name, value in module.named_buffers() if name not in counters}
    return {**dict(module.named_parameters()), **buffers}
