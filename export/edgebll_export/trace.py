"""Tracing: a pure PyTorch function becomes a flat list of ATen operations, each with its place in the network.

`make_fx` runs the function once on fake tensors and records every operator that PyTorch dispatches, so forward pass, gradient
and update come out as one graph. Module hooks mark which module an operator belongs to; an operator of the backward pass is
placed by the forward operators it takes values from.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.fx.traceback as fx_traceback
from torch import Tensor, fx, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode

from edgebll.errors import ExportError
from edgebll_export.decompositions import decompositions
from edgebll_export.functional import without_writes
from edgebll_export.substitutes import SUBSTITUTES

#: Key of an annotation that says in which line of whose code an operator stands, for functions without modules.
LINE = "line"
BLOCK = "the block itself"
#: Part of a message of PyTorch's -> what to do about it.
_KNOWN = {
    "more than 1 value per channel": (
        "batch norm cannot take statistics from one value a channel, which is all that a batch of one sample has here; export "
        "with a larger --batch-size"
    ),
    "use_reentrant=True": (
        "activation checkpointing with use_reentrant=True runs a backward pass of its own, which no step graph can hold; pass "
        "use_reentrant=False"
    ),
}


@dataclass(frozen=True)
class Trace:
    """A traced function.

    Attributes:
        module: graph of ATen calls; one placeholder an input, in order.
        inputs, outputs: names of the function's inputs and outputs.
    """

    module: fx.GraphModule
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def results(self) -> list[fx.Node]:
        """The nodes whose values are the outputs."""
        (output,) = self.module.graph.find_nodes(op="output")
        return list(output.args[0])


def trace(
    function: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    inputs: dict[str, Tensor],
    modules: Sequence[nn.Module] = (),
) -> Trace:
    """Trace `function`, which maps named tensors to named tensors and must be pure.

    Args:
        function: called once with fake tensors of the inputs' shapes and dtypes.
        inputs: example values. modules: modules whose submodules give operators their place.

    Raises:
        ExportError: the function depends on tensor values (data-dependent control flow) or cannot be traced otherwise.
    """
    names = tuple(inputs)
    outputs: list[str] = []

    def flat(*values: Tensor) -> list[Tensor]:
        result = function(dict(zip(names, values, strict=True)))
        outputs[:] = result
        return list(result.values())

    with _marked(modules), fx_traceback.preserve_node_meta(), _without_onednn(), _Static():
        try:
            table = decompositions()
            tracer = make_fx(flat, decomposition_table=table, tracing_mode="fake", _allow_non_fake_inputs=True)
            module = without_writes(tracer(*inputs.values()), list(inputs.values()), table)
        except (RuntimeError, ValueError, NotImplementedError, TypeError) as error:
            reason = str(error).strip().splitlines()[0]
            known = known_failure(error)
            if known is not None:
                raise ExportError(known) from error
            raise ExportError(f"the step cannot be traced as a static graph: {reason}") from error
    return Trace(module, names, tuple(outputs))


def known_failure(error: Exception) -> str | None:
    """What to say of an exception of PyTorch's whose cure is known; None for any other."""
    return next((sentence for part, sentence in _KNOWN.items() if part in str(error)), None)


class _Static(TorchFunctionMode):
    """Functions that would look at values for nothing, or that have no static gradient, as others: see `substitutes`."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return SUBSTITUTES.get(function, function)(*args, **(kwargs or {}))


@contextlib.contextmanager
def _without_onednn() -> Iterator[None]:
    """While open, recurrent layers are the operators they are made of, not one of oneDNN's, which is opaque."""
    enabled = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(enabled)


@contextlib.contextmanager
def _marked(modules: Sequence[nn.Module]) -> Iterator[None]:
    """While open, every traced operator carries the path of the module it ran in."""
    entered: list[Any] = []

    def enter(path: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            context = fx_traceback.annotate({"module": path})
            context.__enter__()
            entered.append(context)

        return hook

    def leave(*_: Any) -> None:
        entered.pop().__exit__(None, None, None)

    handles = []
    for root in modules:
        for path, module in root.named_modules():
            handles.append(module.register_forward_pre_hook(enter(path)))
            handles.append(module.register_forward_hook(leave, always_call=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def place(node: fx.Node) -> str:
    """Where in the network an operator stands, for messages, e.g. "layer '0.bn1'" or "the gradient of layer '0.bn1'"."""
    own = _place_of(node)
    if own is not None:
        return own
    seen: set[fx.Node] = set()
    frontier = list(node.all_input_nodes)
    while frontier:
        found = [text for text in map(_place_of, frontier) if text not in (None, BLOCK)]
        if found:
            return f"the gradient or update near {found[-1]}"
        seen.update(frontier)
        frontier = [n for parent in frontier for n in parent.all_input_nodes if n not in seen]
    return "the local loss or the optimiser"


def _place_of(node: fx.Node) -> str | None:
    custom = node.meta.get("custom") or {}
    path = custom.get("module")
    if path is None:
        return custom.get(LINE)
    return f"layer {path!r}" if path else BLOCK


def fake_value(node: fx.Node) -> Tensor:
    """The fake tensor that stands for a node's value: it has shape and dtype only."""
    value = node.meta.get("val")
    if value is None:
        value = node.meta.get("tensor_meta")
    return value  # type: ignore[return-value]


def dtype_name(dtype: torch.dtype) -> str:
    """Numpy's name of a torch dtype, e.g. "float32"."""
    return str(dtype).removeprefix("torch.")
