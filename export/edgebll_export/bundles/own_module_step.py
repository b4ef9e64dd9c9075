"""The training step of a block by the user's own modules: their forward, autograd's `backward`, their gradients.

The functional step, and what is traced of it, runs modules on other tensors than their own. Here the state is copied into the
modules' own parameters and buffers, and the rest is left to PyTorch: hooks, modes, shared layers, checkpointing. So what the
functional step gets wrong shows. Afterwards the modules are as they were.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from edgebll.kernel.spec.manifest import BlockSpec
from edgebll.kernel.tasks import Task
from edgebll.learning import BlockStep, Stepped
from edgebll.learning.modules.differentiation import Differentiation, ModuleCall
from edgebll.learning.modules.module_record import untouched
from edgebll.learning.modules.pure_module import PureModule
from edgebll.learning.modules.seeded_layers import standing_in


class OwnModuleStep:
    """A block's step as `BlockStep.__call__`, by the block's and the auxiliary network's own modules.

    Args:
        step: whose modules, objective and optimiser they are.
    """

    def __init__(self, step: BlockStep) -> None:
        self._step = copy.copy(step)
        self._step.differentiation = _OwnAutograd()
        self.name: str = step.name
        self.spec: BlockSpec = step.spec
        self.task: Task = step.task

    def __call__(
        self,
        state: Mapping[str, Tensor],
        x: Tensor,
        y: Tensor,
        scalars: Mapping[str, Tensor],
        received: Mapping[str, Tensor] | None = None,
    ) -> Stepped:
        """One step, see BlockStep."""
        return self._step(state, x, y, scalars, received)


class _OwnAutograd(Differentiation):
    """Modules on their own tensors, gradients by `backward`."""

    def __init__(self) -> None:
        self._values: dict[str, Tensor] = {}

    def leaves(self, modules: Sequence[PureModule], names: Iterable[str], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The modules' own parameters, which hold the values of the state while the modules are on."""
        own = {name: value for module in modules for name, value in module.own.items()}
        self._values = {name: state[name].detach() for name in names}
        return {name: own[name] for name in self._values}

    @contextlib.contextmanager
    def on(self, module: PureModule, tensors: Mapping[str, Tensor]) -> Iterator[ModuleCall]:
        """The module itself, holding the values of `tensors`."""
        values = {**{name: tensors[name] for name in module.initial}, **self._values}
        with contextlib.ExitStack() as stack:
            stack.enter_context(module.lock.held())
            stack.enter_context(standing_in(module.places))  # PyTorch's dropout would draw anew each time
            stack.enter_context(untouched(module.module))
            stack.enter_context(_holding(module, values))
            call = _OwnCall(module)
            yield call
            call.leave()

    def gradients(self, loss: Tensor, leaves: Sequence[Tensor]) -> Sequence[Tensor | None]:
        """What `loss.backward()` leaves in the parameters."""
        for leaf in leaves:
            leaf.grad = None
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
        return [None if leaf.grad is None else leaf.grad.detach().clone() for leaf in leaves]


class _OwnCall:
    def __init__(self, owner: PureModule) -> None:
        self._owner = owner
        self._kept: dict[str, Tensor] = {}

    def __call__(self, *inputs: Tensor) -> Any:
        return self._owner.module(*(value.clone() for value in inputs))  # it may write into them

    def leave(self) -> None:
        """Keep the buffers: the module will get its own back."""
        self._kept = self.buffers

    @property
    def buffers(self) -> dict[str, Tensor]:
        return self._kept or {name: value.detach().clone() for name, value in _buffers(self._owner).items()}


def _buffers(module: PureModule) -> dict[str, Tensor]:
    """The module's own buffers that are state, and those of the layers that stand in."""
    named = {module.prefix + name: value for name, value in module.module.named_buffers()}
    named |= {name: dropout.words for name, dropout in module.generators.items()}
    return {name: value for name, value in named.items() if name in module.initial}


@contextlib.contextmanager
def _holding(module: PureModule, values: Mapping[str, Tensor]) -> Iterator[None]:
    """While open, the module's own parameters and buffers have other values."""
    own = _buffers(module) | module.own
    before = [(tensor, tensor.detach().clone(), tensor.grad) for tensor in own.values()]
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(values[name])
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value, gradient in before:
                tensor.copy_(value)
                tensor.grad = gradient
