"""A function of trees of tensors, with its example, as a function of named tensors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from edgebll.kernel.errors import ConfigError, ExportError
from edgebll.kernel.spec.manifest import NEXT
from edgebll_export.tracing.pytrees import leaves_with_names, with_leaves
from edgebll_export.tracing.user_code import running

#: Leaves that are no tensors and stay in the graph as they are in the example.
_FIXED = (bool, int, float, str, type(None))
_DTYPES = ("float32", "float16", "bfloat16", "float64", "int64", "int32", "uint8", "bool")


class Call:
    """A function with its example arguments, as a function of named tensors.

    Attributes:
        name: of the function.
        tensors: the example's tensors by name.
        fixed: its other leaves by name.
    """

    def __init__(self, function: Callable[..., Any], example: Any) -> None:
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        args, named = _arguments(example)
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
            name = _output_name(path, _is_plain(result))
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
        copies = {name: copied(value) for name, value in self.tensors.items()}
        versions = {name: value._version for name, value in copies.items()}
        with running(f"{self.name} fails on its example"):
            results = self(copies)
        for name, value in copies.items():
            if value._version != versions[name] or not torch.equal(content(value), content(self.tensors[name])):
                raise ExportError(f"{self.name} changes its argument {name!r} in place; make a new tensor and return it")
        for name, value in results.items():
            _check_tensor(f"{name!r} that {self.name} returns", value)
        return results


def copied(value: Tensor) -> Tensor:
    """A copy that requires a gradient where the original does."""
    return value.detach().clone().requires_grad_(value.requires_grad)


def content(value: Tensor) -> Tensor:
    """The bytes of a tensor, so that NaN equals itself."""
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


def _arguments(example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and named arguments: a plain tuple or dict holds them, anything else is the only one."""
    if _is_plain(example) and isinstance(example, tuple):
        return example, {}
    return ((), example) if isinstance(example, dict) else ((example,), {})


def _is_plain(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and not hasattr(value, "_fields")  # named tuples have names of their own


def _parameters(function: Callable[..., Any]) -> str:
    try:
        return f"({', '.join(inspect.signature(function).parameters)})"
    except (TypeError, ValueError):
        return ""
