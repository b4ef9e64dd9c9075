"""From a trace to an ONNX model: walk the ATen operators in order and let the registry lower each."""

from __future__ import annotations

import operator
from collections.abc import Container
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, fx

import edgebll_export.lowering  # noqa: F401  (fills the registry)
from edgebll.kernel.errors import EdgebllError, ExportError
from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.graph.complex_value import Complex
from edgebll_export.graph.constant_folding import known_tensors
from edgebll_export.lowering.int8_activations import STEP_LOWERINGS
from edgebll_export.lowering.pointwise.promotion import cast
from edgebll_export.lowering.result_check import checked, failure
from edgebll_export.lowering.shape import filled
from edgebll_export.lowering_registry import COMPLEX_LOWERINGS, LOWERINGS, Lowering
from edgebll_export.targets import ONNX, Target
from edgebll_export.tracing.operator_places import place
from edgebll_export.tracing.trace import Trace, dtype_name
from edgebll_export.tracing.untraceable import refused_operator


def lower(traced: Trace, name: str, target: Target = ONNX) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """Lower a trace to a model of the default operator domain, in the forms that suit the target.

    Returns:
        The model and the names of the inputs it really uses, in order; the others are left out of it.

    Raises:
        ExportError: an operator has no lowering or cannot run on the target, writes in place where no lowering says how, or has
            a lowering that fails or returns something else than the operator; names operator and place.
    """
    return _Lowerer(traced, name, target).run()


class _Lowerer:
    def __init__(self, traced: Trace, name: str, target: Target) -> None:
        self.traced = traced
        self.name = name
        names = {*traced.inputs, *traced.outputs}
        trains = any("backward" in str(node.target) for node in traced.module.graph.nodes)
        self.builder = GraphBuilder(target, names, trains=trains)
        self.values: dict[fx.Node, Any] = {}
        self.known = known_tensors(traced)
        self.alive = _alive(traced, self.known)

    def run(self) -> tuple[onnx.ModelProto, tuple[str, ...]]:
        placeholders = self.traced.module.graph.find_nodes(op="placeholder")
        used = []
        for name, node in zip(self.traced.inputs, placeholders, strict=True):
            if node in self.alive:
                fake = node.meta["val"]
                if fake.is_complex():
                    raise ExportError(f"{self.name}: the input {name} is complex; pass torch.view_as_real of it")
                self.values[node] = self.builder.input(name, dtype_name(fake.dtype), fake.shape)
                used.append(name)
        for node in self.traced.module.graph.nodes:
            if node in self.alive and node.op in ("call_function", "get_attr"):
                self.values[node] = self._constant(self.known[node]) if node in self.known else self._call(node)
        for name, node in zip(self.traced.outputs, self.traced.results, strict=True):
            if self.values[node] is None:
                raise ExportError(f"{self.name}: graphs do not hold the output {name}, such as the indices of maxima")
            if isinstance(self.values[node], Complex):
                raise ExportError(f"{self.name}: the output {name} is complex; return torch.view_as_real of it")
            self.builder.output(name, self._result(node))
        return self.builder.build(self.name), tuple(used)

    def _result(self, node: fx.Node) -> Value:
        """What an output is, in the dtype that PyTorch's has."""
        fake = node.meta.get("val")
        value: Value = checked(self.builder, self.values[node], fake)
        dtype = value.dtype if fake is None else dtype_name(fake.dtype)
        return value if value.dtype == dtype else cast(self.builder, value, dtype)

    def _constant(self, tensor: Tensor) -> Value | Complex:
        """A constant; of one element where all are equal, and numbers that an axis repeats once."""
        if tensor.is_complex():
            return Complex(*(self._real_constant(part.resolve_neg()) for part in (tensor.real, tensor.imag)))
        return self._real_constant(tensor)

    def _real_constant(self, tensor: Tensor) -> Value:
        first = tensor[(0,) * tensor.ndim] if tensor.numel() > 1 else None
        if first is not None and (not any(tensor.stride()) or bool((tensor == first).all())):
            return filled(self.builder, tensor.shape, first.item(), dtype_name(tensor.dtype))
        once = tensor.is_floating_point()  # not positions: lowerings look into constant ones
        kept = tensor[tuple(slice(1) if once and not step else slice(None) for step in tensor.stride())]
        content = kept.float() if tensor.dtype == torch.bfloat16 else kept
        value = self.builder.constant(content.detach().contiguous().numpy(), dtype_name(tensor.dtype))
        return replace(value, shape=tuple(tensor.shape))

    def _call(self, node: fx.Node) -> Any:
        if node.target is operator.getitem:
            source, index = node.args
            return self.values[source][index]  # type: ignore[index]
        entry = self._entry(node)
        arguments = [self._argument(argument) for argument in node.args]
        options = {key: self._argument(value) for key, value in node.kwargs.items()}
        try:
            return self._lowered(node, entry, arguments, options)
        except EdgebllError as error:
            raise ExportError(f"{self.name}: {error} ({_where(node)})") from error
        except Exception as error:  # anything can happen in a lowering of the user's own
            raise ExportError(f"{self.name}: the lowering fails: {failure(error, entry.function)} ({_where(node)})") from error

    def _lowered(self, node: fx.Node, entry: Lowering, arguments: list[Any], options: dict[str, Any]) -> Any:
        expected = node.meta.get("val")
        count = len(expected) if isinstance(expected, (tuple, list)) else 0
        more = sum(position >= count for _, position in entry.writes) if count else 0
        result = checked(self.builder, entry.function(self.builder, *arguments, **options), expected, more)
        for argument, position in entry.writes:
            written = node.args[argument]
            if isinstance(written, fx.Node):
                # Readers after this operator see the new content, as they do in PyTorch.
                content = result[position] if isinstance(result, tuple) else result
                self.values[written] = checked(self.builder, content, written.meta.get("val"))
        return result

    def _entry(self, node: fx.Node) -> Lowering:
        table = COMPLEX_LOWERINGS if _is_complex(node) else LOWERINGS
        entry = table.get(str(node.target)) or STEP_LOWERINGS.get(str(node.target))
        if entry is None:
            refused = refused_operator(self.name, node)
            if refused is not None:
                raise ExportError(refused)
            kind = " on complex numbers" if table is COMPLEX_LOWERINGS else ""
            raise ExportError(f"{self.name}: the operator {node.target}{kind} in {place(node)} {_remedy(node)}")
        return entry

    def _argument(self, argument: Any) -> Any:
        if isinstance(argument, fx.Node):
            return self.values[argument]
        if isinstance(argument, (list, tuple)):
            return [self._argument(item) for item in argument]
        if isinstance(argument, torch.dtype):
            return dtype_name(argument)
        if isinstance(argument, np.generic):
            return argument.item()
        return argument


def _is_complex(node: fx.Node) -> bool:
    """Whether an argument or a result is a complex tensor."""
    values = [node.meta.get("val"), *(argument.meta.get("val") for argument in node.all_input_nodes)]
    parts = [part for value in values for part in (value if isinstance(value, (list, tuple)) else [value])]
    return any(isinstance(part, Tensor) and part.is_complex() for part in parts)


def _where(node: fx.Node) -> str:
    return f"operator {node.target}, in {place(node)}"


def _remedy(node: fx.Node) -> str:
    if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
        return (
            "draws random numbers, which a graph cannot; make dropout a layer (nn.Dropout, or SeededDropout or MaskedDropout "
            "of edgebll.learning), or set p to 0"
        )
    return "has no lowering to ONNX; replace it, or register a lowering (docs/how-to/add-an-operator.md shows how)"


def _alive(traced: Trace, known: Container[fx.Node]) -> set[fx.Node]:
    """Nodes some output depends on, but for what only known values depend on.

    Operators that overwrite a value an output depends on count.
    """
    alive: set[fx.Node] = set()
    stack = list(traced.results)
    writers: dict[fx.Node, list[fx.Node]] = {}
    for node in traced.module.graph.nodes:
        for argument in _written(node):
            writers.setdefault(argument, []).append(node)
    while stack:
        node = stack.pop()
        if node not in alive:
            alive.add(node)
            stack.extend([] if node in known else node.all_input_nodes)
            stack.extend(writers.get(node, []))
    return alive


def _written(node: fx.Node) -> list[fx.Node]:
    if node.op != "call_function":
        return []
    entry = LOWERINGS.get(str(node.target))
    if entry is not None:
        return [node.args[position] for position, _ in entry.writes if isinstance(node.args[position], fx.Node)]  # type: ignore[misc]
    schema = getattr(node.target, "_schema", None)
    if schema is None or not schema.is_mutable:
        return []
    pairs = zip(schema.arguments, node.args, strict=False)
    return [a for s, a in pairs if s.alias_info is not None and s.alias_info.is_write and isinstance(a, fx.Node)]
