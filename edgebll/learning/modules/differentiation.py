"""How a training step runs modules on its state and takes gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor

from edgebll.learning.modules.pure_module import PureModule


class ModuleCall(Protocol):
    """A module in training on given tensors."""

    def __call__(self, *inputs: Tensor) -> Any:
        """What the module returns."""

    @property
    def buffers(self) -> dict[str, Tensor]:
        """State tensors that are buffers, as the calls left them."""


class Differentiation:
    """By functions of tensors: modules run on other tensors than their own, and gradients come without touching them.

    What is computed anew in the backward pass, as activation checkpointing does, reads the module again: so gradients are taken
    while it is open.
    """

    def leaves(self, modules: Sequence[PureModule], names: Iterable[str], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors that gradients are taken of, with the gradient hooks of the modules' parameters.

        Args:
            modules: whose parameters they are.
            names: of state tensors.
            state: their values.
        """
        leaves = {name: state[name].detach().requires_grad_() for name in names}
        for module in modules:
            for name in module.trained:
                for hook in module.hooks(name):
                    leaves[name].register_hook(hook)  # type: ignore[no-untyped-call]
        return leaves

    def on(self, module: PureModule, tensors: Mapping[str, Tensor]) -> AbstractContextManager[ModuleCall]:
        """The module in training, on tensors by name."""
        return module.on(tensors, train=True)

    def gradients(self, loss: Tensor, leaves: Sequence[Tensor]) -> Sequence[Tensor | None]:
        """The gradient of a loss for each leaf; None where it does not depend on it."""
        if not loss.requires_grad:  # it depends on none
            return [None] * len(leaves)
        return torch.autograd.grad(loss, leaves, allow_unused=True)
