"""Tracing: a pure PyTorch function becomes a flat list of ATen operations, each with its place in the network.

`make_fx` runs the function once on fake tensors and records every operator that PyTorch dispatches, so forward pass, gradient
and update come out as one graph. Every operator is marked with the module it belongs to and the line of the user's code (see
`edgebll_export.tracing.operator_places`); an operator of the backward pass is placed by the forward operators it takes values
from.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.fx.traceback as fx_traceback
from torch import Tensor, fx, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode

from edgebll.kernel.errors import EdgebllError, ExportError
from edgebll_export.substitutes import SUBSTITUTES
from edgebll_export.tracing.decompositions import decompositions
from edgebll_export.tracing.functional import without_writes
from edgebll_export.tracing.operator_places import Places, noted_line
from edgebll_export.tracing.untraceable import quiet, untraceable


@dataclass(frozen=True)
class Trace:
    """A traced function.

    Attributes:
        module: graph of ATen calls; one placeholder an input, in order.
        inputs: names of the function's inputs, in order.
        outputs: names of its outputs, in order.
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
    name: str = "the step",
) -> Trace:
    """Trace `function`, which maps named tensors to named tensors and must be pure.

    Args:
        function: called once with fake tensors of the inputs' shapes and dtypes.
        inputs: example values.
        modules: whose submodules give operators their place.
        name: of the function, for messages.

    Raises:
        ExportError: the function depends on tensor values (data-dependent control flow) or cannot be traced otherwise.
    """
    names = tuple(inputs)
    outputs: list[str] = []

    def flat(*values: Tensor) -> list[Tensor]:
        result = function(dict(zip(names, values, strict=True)))
        outputs[:] = result
        return list(result.values())

    places = Places(modules)
    try:
        with places, fx_traceback.preserve_node_meta(), _without_onednn(), quiet(), _Static():
            table = decompositions()
            tracer = make_fx(flat, decomposition_table=table, tracing_mode="fake", _allow_non_fake_inputs=True)
            module = without_writes(tracer(*inputs.values()), list(inputs.values()), table)
    except EdgebllError:
        raise
    except Exception as error:  # anything can happen in code of the user's
        raise ExportError(untraceable(name, error, places.failed)) from error
    return Trace(module, names, tuple(outputs))


class _Static(TorchFunctionMode):
    """Every operator is noted with the user's line; some functions are traced as others, see `substitutes`."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with noted_line(sys._getframe(1)):
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


def fake_value(node: fx.Node) -> Tensor:
    """The fake tensor that stands for a node's value: it has shape and dtype only."""
    value = node.meta.get("val")
    if value is None:
        value = node.meta.get("tensor_meta")
    return value  # type: ignore[return-value]


def dtype_name(dtype: torch.dtype) -> str:
    """Numpy's name of a torch dtype, e.g. "float32"."""
    return str(dtype).removeprefix("torch.")
