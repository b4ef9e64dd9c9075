"""A numpy array with the methods of a tensor, so that a task's loss is written once: the step trains with it, hosts evaluate.

Only methods that tasks need are here; names, arguments and results are PyTorch's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgebll.kernel.errors import ConfigError


class NumpyTensor:
    """An array behind tensor methods.

    Args:
        array: float64, any shape.
    """

    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of all axes."""
        return tuple(self.array.shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return int(self.array.ndim)

    def __len__(self) -> int:
        return len(self.array)

    def __neg__(self) -> NumpyTensor:
        return NumpyTensor(-self.array)

    def __getitem__(self, key: Any) -> NumpyTensor:
        return NumpyTensor(self.array[key])

    def __getattr__(self, name: str) -> Any:
        raise ConfigError(
            f"a task's loss is evaluated with numpy too, which has no tensor method {name!r} here; use one of "
            f"{', '.join(sorted(n for n in vars(NumpyTensor) if not n.startswith('_')))}, or write the task's `sums`"
        )

    def sum(self, dim: int | tuple[int, ...] | None = None, keepdim: bool = False) -> NumpyTensor:
        """Sum over axes."""
        return NumpyTensor(self.array.sum(axis=dim, keepdims=keepdim))

    def mean(self, dim: int | tuple[int, ...] | None = None, keepdim: bool = False) -> NumpyTensor:
        """Mean over axes."""
        return NumpyTensor(self.array.mean(axis=dim, keepdims=keepdim))

    def amax(self, dim: int | tuple[int, ...] | None = None, keepdim: bool = False) -> NumpyTensor:
        """Largest over axes."""
        return NumpyTensor(self.array.max(axis=dim, keepdims=keepdim))

    def amin(self, dim: int | tuple[int, ...] | None = None, keepdim: bool = False) -> NumpyTensor:
        """Smallest over axes."""
        return NumpyTensor(self.array.min(axis=dim, keepdims=keepdim))

    def clamp(self, min: float | None = None, max: float | None = None) -> NumpyTensor:
        """Cut off at both ends."""
        return NumpyTensor(np.clip(self.array, min, max))

    def log_softmax(self, dim: int) -> NumpyTensor:
        """Logarithm of the softmax along an axis."""
        shifted = self.array - self.array.max(axis=dim, keepdims=True)
        return NumpyTensor(shifted - np.log(np.exp(shifted).sum(axis=dim, keepdims=True)))

    def softmax(self, dim: int) -> NumpyTensor:
        """Softmax along an axis."""
        return NumpyTensor(np.exp(self.log_softmax(dim).array))

    def sigmoid(self) -> NumpyTensor:
        """1 / (1 + exp(-x)), without overflow."""
        return NumpyTensor(0.5 * (1.0 + np.tanh(0.5 * self.array)))

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> NumpyTensor:
        """Axes start_dim to end_dim as one."""
        start, end = start_dim % self.ndim, end_dim % self.ndim
        return NumpyTensor(self.array.reshape(*self.shape[:start], -1, *self.shape[end + 1 :]))

    def reshape(self, *shape: int) -> NumpyTensor:
        """The same values in another shape."""
        return NumpyTensor(self.array.reshape(*shape))

    def unsqueeze(self, dim: int) -> NumpyTensor:
        """A new axis of size 1."""
        return NumpyTensor(np.expand_dims(self.array, dim))

    def movedim(self, source: int, destination: int) -> NumpyTensor:
        """An axis at another place."""
        return NumpyTensor(np.moveaxis(self.array, source, destination))

    def new_tensor(self, values: Sequence[Any]) -> NumpyTensor:
        """A tensor of constants."""
        return NumpyTensor(np.asarray(values, self.array.dtype))

    def double(self) -> NumpyTensor:
        """In float64."""
        return NumpyTensor(self.array.astype(np.float64))

    float = double


def _plain(value: Any) -> Any:
    return value.array if isinstance(value, NumpyTensor) else value


def _unary(function: Any) -> Any:
    return lambda self: NumpyTensor(function(self.array))


def _binary(function: Any) -> Any:
    return lambda self, other: NumpyTensor(function(self.array, _plain(other)))


def _reversed(function: Any) -> Any:
    return lambda self, other: NumpyTensor(function(_plain(other), self.array))


_UNARY = ("exp", "log", "log1p", "sqrt", "square", "abs", "sign", "tanh", "sin", "cos")
_OPERATORS: dict[str, Any] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.true_divide,
    "pow": np.power,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}
_COMPARISONS = ("lt", "le", "gt", "ge")

for _name in _UNARY:
    setattr(NumpyTensor, _name, _unary(getattr(np, _name)))
for _name in ("maximum", "minimum"):
    setattr(NumpyTensor, _name, _binary(getattr(np, _name)))
for _name, _function in _OPERATORS.items():
    setattr(NumpyTensor, f"__{_name}__", _binary(_function))
    if _name not in _COMPARISONS:
        setattr(NumpyTensor, f"__r{_name}__", _reversed(_function))
