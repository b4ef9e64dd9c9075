"""The step of a block as one compiled program: the very step, traced once with its gradient and update, then compiled.

Tracing takes the step apart into plain operators on tensors, as export does, so that forward pass, gradient and update are
compiled together and there is nothing of Python left in between. All that changes from step to step is a tensor, the learning
rate too, so nothing is ever compiled twice; blocks whose programs are the same share one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, fx
from torch._decomp import get_decompositions
from torch.fx.experimental.proxy_tensor import make_fx

from edgebll.errors import ConfigError
from edgebll.learning import BlockStep, Stepped

#: Compiled programs by what they compute.
Programs = dict[Any, Callable[..., Sequence[Tensor]]]
#: Batch norm's operators write running statistics without saying so; taken apart, they say it.
_SILENT = ("native_batch_norm", "native_batch_norm_backward", "cudnn_batch_norm", "cudnn_batch_norm_backward")
_COMPILERS = ("g++", "clang++", "gcc", "clang", "c++", "cc")


def why_no_compiler(device: str) -> str:
    """What compiling for a device ("cpu" or "cuda") lacks here; empty where there is everything."""
    if not any(map(shutil.which, _COMPILERS)):
        return "there is no C++ compiler"
    if device == "cuda" and find_spec("triton") is None:
        return "the package triton is missing"
    return ""


class CompiledStep:
    """A block's training step, compiled when it is first called: the same arguments and results, rounded otherwise.

    Args:
        step: it. programs: of all blocks so far, to be shared. say: told before a compilation, which may take minutes.
        backend: of torch.compile.

    Raises:
        ConfigError: on the first call, if the step cannot be compiled here.
    """

    def __init__(
        self, step: BlockStep, programs: Programs, say: Callable[[str], None], backend: str | Callable[..., Any] = "inductor"
    ) -> None:
        self._step = step
        self._programs = programs
        self._say = say
        self._backend = backend
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
        values = [*state.values(), x, y, scalars["lr"], *came.values()]
        with torch.no_grad():
            if self._program is None:
                found = self._compiled(list(state), list(came), values)
                laid_out = {name: value.stride() for name, value in state.items()}
                pairs = enumerate(zip(self._state, found, strict=False))
                self._strange = [(i, laid_out[name]) for i, (name, value) in pairs if value.stride() != laid_out[name]]
            else:
                found = list(self._program(*values))
            for index, stride in self._strange:  # the program is for the layout that it was compiled with
                found[index] = _laid_out(found[index], stride)
        count = len(self._state)
        new = dict(zip(self._state, found, strict=False))
        sent = dict(zip(self._sent, found[count + 2 :], strict=True))
        return Stepped(new, found[count], found[count + 1], sent)

    def _compiled(self, state: Sequence[str], received: Sequence[str], values: Sequence[Tensor]) -> list[Tensor]:
        """Compile, or share what is compiled already; returns the first step's results."""
        traced = self._traced(state, received, values)
        key = _key(traced, values)
        program = None if key is None else self._programs.get(key)
        if program is None:
            self._say(f"compiling the step of {self._step.name}; it may take minutes")
            program = torch.compile(traced, backend=self._backend, fullgraph=True, dynamic=False)
        try:
            results = list(program(*values))
        except torch._dynamo.exc.TorchDynamoException as error:
            reason = " ".join(str(error).strip().splitlines()[:2]) or type(error).__name__
            raise ConfigError(f"the step of {self._step.name} cannot be compiled here: {reason}; do not compile it") from error
        self._program = program
        if key is not None:
            self._programs[key] = program
        return results

    def _traced(self, state: Sequence[str], received: Sequence[str], values: Sequence[Tensor]) -> fx.GraphModule:
        """The step as a graph of operators from `values` to the new state, a, metrics and what is sent."""
        count = len(state)

        def flat(*given: Tensor) -> list[Tensor]:
            x, y, lr = given[count : count + 3]
            came = dict(zip(received, given[count + 3 :], strict=True))
            stepped = self._step(dict(zip(state, given, strict=False)), x, y, {"lr": lr}, came)
            self._state, self._sent = list(stepped.state), list(stepped.sent)
            return [*stepped.state.values(), stepped.a, stepped.metrics, *stepped.sent.values()]

        table: Any = get_decompositions([getattr(torch.ops.aten, name) for name in _SILENT])
        return make_fx(flat, decomposition_table=table)(*values)


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
