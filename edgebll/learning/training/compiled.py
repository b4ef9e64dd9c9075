"""The step of a block as one compiled program: the very step, traced once with its gradient and update, then compiled.

Tracing takes the step apart into plain operators on tensors, as export does, so that forward pass, gradient and update are
compiled together and there is nothing of Python left in between. All that changes from step to step is a tensor, the learning
rate too, so nothing is ever compiled twice; blocks whose programs are the same share one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from subprocess import CalledProcessError
from typing import Any

import torch
from torch import Tensor, fx
from torch._decomp import get_decompositions
from torch._dynamo.exc import TorchDynamoException
from torch.fx.experimental.proxy_tensor import make_fx

from edgebll.learning import BlockStep, Stepped

BACKEND = "inductor"
#: Compiled programs by what they compute.
Programs = dict[Any, Callable[..., Sequence[Tensor]]]
#: Batch norm's operators write running statistics without saying so; taken apart, they say it.
_SILENT = ("native_batch_norm", "native_batch_norm_backward", "cudnn_batch_norm", "cudnn_batch_norm_backward")


class CompiledStep:
    """A block's training step, compiled when it is first called: the same arguments and results, rounded otherwise.

    A step that the compiler fails on runs as it is: a long training shall not end for that.

    Args:
        step: it.
        programs: of all blocks so far, to be shared.
        say: told before a compilation, which may take minutes.
        backend: of torch.compile, by default BACKEND.

    Attributes:
        is_compiled: whether it is, or will be.
        seconds: that compiling took, the first step included.
    """

    def __init__(
        self,
        step: BlockStep,
        programs: Programs,
        say: Callable[[str], None],
        backend: str | Callable[..., Any] | None = None,
    ) -> None:
        self._step = step
        self._programs = programs
        self._say = say
        self._backend = BACKEND if backend is None else backend
        self.is_compiled = True
        self.seconds = 0.0
        self._program: Callable[..., Sequence[Tensor]] | None = None
        self._state: list[str] = []
        self._sent: list[str] = []
        self._strange: list[tuple[int, tuple[int, ...]]] = []

    def __call__(
        self,
        state: Mapping[str, Tensor],
        x: Tensor,
        y: Tensor,
        scalars: Mapping[str, Tensor],
        received: Mapping[str, Tensor] | None = None,
    ) -> Stepped:
        """One step, see BlockStep."""
        came = received or {}
        values = [*state.values(), x, y, *scalars.values(), *came.values()]
        with torch.no_grad():
            if self._program is not None:
                return self._named(list(self._program(*values)))
            if self.is_compiled:
                started = time.monotonic()
                try:
                    return self._named(self._first(state, list(scalars), list(came), values))
                except (TorchDynamoException, CalledProcessError, OSError) as error:
                    reason = " ".join(str(error).strip().splitlines()[:2]) or type(error).__name__
                    self._say(f"the step of {self._step.name} cannot be compiled here ({reason}); it runs uncompiled")
                    self.is_compiled = False
                finally:
                    self.seconds = time.monotonic() - started
        return self._step(state, x, y, scalars, received)

    def _named(self, found: list[Tensor]) -> Stepped:
        """Results of the program by name, in the layout that it was compiled for."""
        for index, stride in self._strange:
            found[index] = _laid_out(found[index], stride)
        count = len(self._state)
        new = dict(zip(self._state, found, strict=False))
        sent = dict(zip(self._sent, found[count + 2 :], strict=True))
        return Stepped(new, found[count], found[count + 1], sent)

    def _first(
        self, state: Mapping[str, Tensor], scalars: Sequence[str], received: Sequence[str], values: Sequence[Tensor]
    ) -> list[Tensor]:
        """Compile, or share what is compiled already; returns the first step's results."""
        traced = self._traced(list(state), scalars, received, values)
        key = _key(traced, values)
        program = None if key is None else self._programs.get(key)
        if program is None:
            self._say(f"compiling the step of {self._step.name}; it may take minutes")
            program = torch.compile(traced, backend=self._backend, fullgraph=True, dynamic=False)
        found = list(program(*values))
        self._program = program
        if key is not None:
            self._programs[key] = program
        wanted = [state[name].stride() for name in self._state]
        self._strange = [(i, stride) for i, stride in enumerate(wanted) if found[i].stride() != stride]
        return found

    def _traced(
        self, state: Sequence[str], scalars: Sequence[str], received: Sequence[str], values: Sequence[Tensor]
    ) -> fx.GraphModule:
        """The step as a graph of operators from `values` to the new state, a, metrics and what is sent."""
        count = len(state)

        def flat(*given: Tensor) -> list[Tensor]:
            x, y, *others = given[count:]
            told, came = dict(zip(scalars, others, strict=False)), dict(zip(received, others[len(scalars) :], strict=True))
            stepped = self._step(dict(zip(state, given, strict=False)), x, y, told, came)
            self._state, self._sent = list(stepped.state), list(stepped.sent)
            return [*stepped.state.values(), stepped.a, stepped.metrics, *stepped.sent.values()]

        return make_fx(flat, decomposition_table=taken_apart())(*values)


def taken_apart() -> Any:
    """Operator -> what it is made of, for the operators that tracing takes apart."""
    return get_decompositions([getattr(torch.ops.aten, name) for name in _SILENT])


def _laid_out(value: Tensor, stride: tuple[int, ...]) -> Tensor:
    """The same values at other places in memory; axes of one element may have any stride."""
    differ = [own != wanted for size, own, wanted in zip(value.shape, value.stride(), stride, strict=True) if size > 1]
    if not any(differ):
        return value.as_strided(value.shape, stride)
    return torch.empty_strided(value.shape, stride, dtype=value.dtype, device=value.device).copy_(value)


def _key(traced: fx.GraphModule, values: Sequence[Tensor]) -> Any:
    """What two traces have in common that compute the same; None for one with constants of its own."""
    if any(node.op == "get_attr" for node in traced.graph.nodes):
        return None
    return traced.code, tuple((value.shape, value.stride(), value.dtype) for value in values)
