"""Any pure PyTorch function as a plain ONNX graph: gradients and updates inside it included.

The function maps trees of tensors to a tree of tensors. It is run once on copies of an example, which says what it returns and
whether it is pure, then traced, lowered, and run on ONNX Runtime beside PyTorch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor

from edgebll.errors import ConfigError, ExportError
from edgebll.files import write_atomic
from edgebll.spec import NEXT
from edgebll_export.lower import lower
from edgebll_export.models import check_model
from edgebll_export.pytrees import leaves_with_names, with_leaves
from edgebll_export.step_check import TOLERANCE, compare
from edgebll_export.targets import Target, make_target
from edgebll_export.trace import Trace, place, trace
from edgebll_export.user_code import marked_lines, running, summary

#: Leaves that are no tensors and stay in the graph as they are in the example.
_FIXED = (bool, int, float, str, type(None))
_DTYPES = ("float32", "float16", "bfloat16", "float64", "int64", "int32", "uint8", "bool")


@dataclass(frozen=True)
class StepExport:
    """What `export_step` made.

    Attributes:
        model: the graph. inputs, outputs: its tensors' names in order.
        unused: tensors of the example the results do not depend on; they are no inputs of the graph.
        fixed: numbers and texts of the example, which are constants in the graph.
        errors: largest relative error of each output on ONNX Runtime against PyTorch; empty if not checked.
    """

    model: onnx.ModelProto
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    unused: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)


def export_step(
    function: Callable[..., Any],
    example: Any,
    path: Path | str | None = None,
    *,
    target: Target | str = "onnx",
    check: bool = True,
    tolerance: float = TOLERANCE,
) -> StepExport:
    """Turn a pure function of tensors into one ONNX graph of static shapes and default operators, and write it to `path`.

    Args:
        function: maps trees of tensors to a tree of tensors; may use torch.func.grad, torch.autograd.grad and functional_call.
        example: its arguments: a tuple of positional ones, a dict of named ones, or its only argument. Tensors are on the CPU.
        path: the file to write, which is written only if all went well; None for none.
        target: what the graph is for; a name of edgebll_export.targets.TARGETS or a Target.
        check: whether to run the graph on ONNX Runtime beside PyTorch. tolerance: largest relative error then.

    Returns:
        The graph. Inputs are named by argument and path ("params.conv.weight"), outputs by their path in the result
        ("grads.conv.weight"; "output" for a lone tensor, "output0" and so on for the items of a tuple). An output with the name
        of an input gets ".next" appended.

    Raises:
        ConfigError: the example does not fit the function or holds what cannot be an input. VerifyError: ONNX Runtime's results
        differ. ExportError: the function is not pure, random, or uses what cannot be exported; says what and where.
    """
    chosen = make_target(target) if isinstance(target, str) else target
    call = _Call(function, example)
    expected = call.eager()
    traced = _trace(call)
    model, used = lower(traced, call.name, chosen)
    check_model(model)
    errors = compare(model, {name: call.tensors[name] for name in used}, expected, call.name, tolerance) if check else {}
    if path is not None:
        write_atomic(Path(path), model.SerializeToString(deterministic=True))
    unused = tuple(name for name in call.tensors if name not in used)
    return StepExport(model, used, tuple(expected), unused, call.fixed, errors)


class _Call:
    """A function with its example arguments, as a function of named tensors.

    Attributes:
        name: of the function. tensors: the example's tensors by name. fixed: its other leaves by name.
    """

    def __init__(self, function: Callable[..., Any], example: Any) -> None:
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        args, named = (
            (example, {}) if isinstance(example, tuple) else ((), example) if isinstance(example, dict) else ((example,), {})
        )
        try:
            self.signature = inspect.signature(function)
            self.arguments = self.signature.bind(*args, **named).arguments
        except (TypeError, ValueError) as error:
            raise ConfigError(f"the example does not fit {self.name}{_parameters(function)}: {error}") from error
        self._leaves = [(".".join(path), leaf) for path, leaf in leaves_with_names(self.arguments)]
        self.tensors = {name: leaf for name, leaf in self._leaves if isinstance(leaf, Tensor)}
        self.fixed = {name: leaf for name, leaf in self._leaves if not isinstance(leaf, Tensor) and leaf is not None}
        self._check()

    def _check(self) -> None:
        names = [name for name, _ in self._leaves]
        doubled = next((name for name in names if names.count(name) > 1), None)
        if doubled is not None:
            raise ConfigError(f"two values of {self.name}'s example would be called {doubled!r}; rename a key")
        for name, leaf in self._leaves:
            if isinstance(leaf, Tensor):
                _check_tensor(f"{name!r} of {self.name}'s example", leaf)
            elif not isinstance(leaf, _FIXED):
                raise ConfigError(
                    f"{name!r} of {self.name}'s example is a {type(leaf).__name__}; arguments hold tensors, and numbers or "
                    "texts that stay fixed in the graph"
                )
        if not self.tensors:
            raise ConfigError(f"{self.name}'s example holds no tensor, so its graph would have no input")

    def __call__(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the function on other tensors; returns its results by name."""
        leaves = [tensors.get(name, leaf) for name, leaf in self._leaves]
        bound = inspect.BoundArguments(self.signature, with_leaves(self.arguments, leaves))
        result = self.function(*bound.args, **bound.kwargs)
        return {name: leaf.detach() for name, leaf in self._named(result).items()}

    def _named(self, result: Any) -> dict[str, Tensor]:
        outputs: dict[str, Tensor] = {}
        for path, leaf in leaves_with_names(result):
            if leaf is None:
                continue
            name = _output_name(path, isinstance(result, (tuple, list)) and not hasattr(result, "_fields"))
            if not isinstance(leaf, Tensor):
                kind = type(leaf).__name__
                raise ExportError(f"{self.name} returns a {kind} as {name!r}; return tensors only (leave .item() out)")
            name += NEXT if name in self.tensors else ""
            if name in outputs or name in self.tensors:
                raise ExportError(f"two results of {self.name} would be called {name!r}; rename a key")
            outputs[name] = leaf
        if not outputs:
            raise ExportError(f"{self.name} returns no tensor; return what the graph shall compute")
        return outputs

    def eager(self) -> dict[str, Tensor]:
        """What the function returns for the example.

        Raises:
            ExportError: it fails, changes its arguments, or returns other things than tensors.
        """
        copies = {name: _copy(value) for name, value in self.tensors.items()}
        versions = {name: value._version for name, value in copies.items()}
        with running(f"{self.name} fails on its example"):
            results = self(copies)
        for name, value in copies.items():
            if value._version != versions[name] or not torch.equal(_bits(value), _bits(self.tensors[name])):
                raise ExportError(f"{self.name} changes its argument {name!r} in place; make a new tensor and return it")
        for name, value in results.items():
            _check_tensor(f"{name!r} that {self.name} returns", value)
        return results


def _trace(call: _Call) -> Trace:
    def function(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        with marked_lines():
            return call(tensors)

    try:
        with running(f"{call.name} cannot be traced"):
            traced = trace(function, {name: _copy(value) for name, value in call.tensors.items()})
    except ExportError as error:
        raise ExportError(_why_untraced(call.name, error)) from error
    _refuse(call.name, traced)
    return traced


def _refuse(name: str, traced: Trace) -> None:
    """Raise ExportError for what has been traced but means something else in a graph."""
    for node in traced.module.graph.find_nodes(op="get_attr"):
        value = getattr(traced.module, str(node.target))
        if isinstance(value, Tensor) and value.requires_grad:
            shape = "x".join(map(str, value.shape)) or "scalar"
            raise ExportError(
                f"{name} uses a trainable tensor ({shape}) that is not among its arguments; pass parameters as arguments, "
                "for modules by torch.func.functional_call"
            )
    for node in traced.module.graph.nodes:
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()) and node.users:
            raise ExportError(
                f"{name} draws random numbers ({node.target}, in {place(node)}); draw them outside and pass them as an argument"
            )
        if node.target is torch.ops.aten._local_scalar_dense.default:
            raise ExportError(_by_value(name, place(node)))


def _by_value(name: str, where: str) -> str:
    return f"{name} needs the value of a tensor while it is traced ({where}); use torch.where, or pass a Python number"


def _why_untraced(name: str, error: ExportError) -> str:
    cause = error.__cause__
    if cause is None:
        return str(error)
    if "data-dependent" in str(cause) or "DataDependent" in type(cause).__name__:
        return _by_value(name, summary(cause).rpartition(" (")[2].rstrip(")"))
    return f"{name} cannot be traced: {summary(cause)}"


def _copy(value: Tensor) -> Tensor:
    return value.detach().clone().requires_grad_(value.requires_grad)


def _bits(value: Tensor) -> Tensor:
    """The content as integers, so that NaN equals itself."""
    return value.detach().contiguous().reshape(-1).view(torch.uint8)


def _check_tensor(what: str, value: Tensor) -> None:
    dtype = str(value.dtype).removeprefix("torch.")
    if dtype not in _DTYPES:
        raise ConfigError(f"{what} has dtype {dtype}; graphs take {', '.join(_DTYPES)}")
    if value.layout != torch.strided or value.device.type != "cpu":
        raise ConfigError(f"{what} must be an ordinary tensor on the CPU, not {value.layout} on {value.device}")


def _output_name(path: tuple[str, ...], numbered: bool) -> str:
    if not path:
        return "output"
    return ".".join((f"output{path[0]}", *path[1:]) if numbered else path)


def _parameters(function: Callable[..., Any]) -> str:
    try:
        return f"({', '.join(inspect.signature(function).parameters)})"
    except (TypeError, ValueError):
        return ""
