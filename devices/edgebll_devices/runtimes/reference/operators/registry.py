"""The table of operators. An operator is a function of numpy arrays whose signature says what the ONNX operator takes:

    @operator("Conv")
    def conv(x, weight, bias=None, /, *, strides=(), pads=()): ...

Positional parameters are the inputs in ONNX order (None where an optional one is omitted), keyword-only ones the attributes.
The parameter `num_outputs`, where there is one, gets the number of the node's outputs.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edgebll.kernel.errors import BundleError
from edgebll.kernel.spec.manifest import MAX_TENSOR_BYTES

#: Attributes carry 64-bit numbers; values are arrays of any dtype.
Value = np.ndarray[Any, Any]
Function = Callable[..., Any]
_MANY = 1 << 16


class Operator:
    """An operator's function and what its signature says.

    Attributes:
        attributes: names of the attributes it knows.
        num_inputs: fewest and most inputs.
        max_outputs: most outputs.
    """

    def __init__(self, function: Function, max_outputs: int) -> None:
        parameters = inspect.signature(function).parameters.values()
        inputs = [p for p in parameters if p.kind is p.POSITIONAL_ONLY]
        variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        names = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
        self._function = function
        self._wants_count = "num_outputs" in names and max_outputs > 1
        self.attributes = names
        self.num_inputs = (sum(p.default is p.empty for p in inputs), _MANY if variadic else len(inputs))
        self.max_outputs = max_outputs

    def __call__(self, inputs: Sequence[Any], attributes: Mapping[str, Any], num_outputs: int) -> tuple[Value, ...]:
        """Apply the function; one array for each output it makes."""
        options = {**attributes, "num_outputs": num_outputs} if self._wants_count else attributes
        result = self._function(*inputs, **options)
        results = result if isinstance(result, (tuple, list)) else (result,)
        return tuple(np.asarray(value) for value in results)


#: ONNX operator name -> implementation.
OPERATORS: dict[str, Operator] = {}


def operator(*names: str, max_outputs: int = 1) -> Callable[[Function], Function]:
    """Register a function for one or more ONNX operators."""

    def register(function: Function) -> Function:
        for name in names:
            OPERATORS[name] = Operator(function, max_outputs)
        return function

    return register


def same_dtype(*values: Value) -> None:
    """Raise BundleError unless all values have one dtype; ONNX converts nothing by itself, numpy would."""
    kinds = {value.dtype.name for value in values}
    if len(kinds) > 1:
        raise BundleError(f"the inputs have different dtypes, {', '.join(sorted(kinds))}")


def check_size(shape: Sequence[int], dtype: np.dtype[Any]) -> tuple[int, ...]:
    """The shape, if an array of it stays under the cap on tensors.

    Raises:
        BundleError: a negative size, or too many bytes.
    """
    sizes = tuple(int(size) for size in shape)
    if any(size < 0 for size in sizes) or math.prod(sizes) * dtype.itemsize > MAX_TENSOR_BYTES:
        raise BundleError(f"a value of shape {list(sizes)} would exceed the cap of {MAX_TENSOR_BYTES} bytes")
    return sizes


def axes_of(rank: int, axes: Sequence[int]) -> tuple[int, ...]:
    """Axes counted from the front, each once.

    Raises:
        BundleError: an axis the value does not have, or one twice.
    """
    result = tuple(int(axis) + rank if axis < 0 else int(axis) for axis in axes)
    if any(not 0 <= axis < rank for axis in result) or len(set(result)) != len(result):
        raise BundleError(f"the axes {[int(axis) for axis in axes]} do not fit a value of {rank} axes")
    return result
