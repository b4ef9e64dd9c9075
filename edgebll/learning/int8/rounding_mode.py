"""Which tensors of a module are rounded to int8 while it trains: those that its gradient is computed from.

Like autocast it acts on the functions that a module calls, so it needs no layers of its own:

    linear, convolutions                  the input, where the weight learns
    norms, smooth activations, max pooling  the input
    relu, tanh, sigmoid                   the result

Weights are not rounded, and neither is what gradients are not computed from, as sums of residual blocks. Where no gradient is
recorded, as in evaluation, nothing is rounded, nor where activations are computed anew in the backward pass, which keeps none.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from edgebll.learning.int8.straight_through import RoundedInput, RoundedRelu, RoundedSigmoid, RoundedTanh

_PRODUCTS = frozenset(
    (
        *(F.linear, F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d),
        *(torch.conv1d, torch.conv2d, torch.conv3d),
    )
)
_INPUTS = frozenset(
    (
        *(F.batch_norm, F.instance_norm, F.group_norm, F.layer_norm, F.rms_norm),
        *(torch.batch_norm, torch.instance_norm, torch.group_norm, torch.layer_norm),
        *(F.gelu, F.silu, F.mish, F.elu, F.selu, F.celu, F.softplus, F.leaky_relu, F.prelu, F.hardtanh, F.relu6),
        *(F.hardswish, F.hardsigmoid, F.logsigmoid),
        *(F.max_pool1d, F.max_pool2d, F.max_pool3d, F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d),
        *(torch.max_pool1d, torch.max_pool2d, torch.max_pool3d),
    )
)
_RESULTS: dict[Any, Callable[[Tensor], Tensor]] = {
    **dict.fromkeys((F.relu, torch.relu, Tensor.relu, torch.relu_, Tensor.relu_), RoundedRelu.apply),
    **dict.fromkeys((F.tanh, torch.tanh, Tensor.tanh, Tensor.tanh_), RoundedTanh.apply),
    **dict.fromkeys((F.sigmoid, torch.sigmoid, Tensor.sigmoid, Tensor.sigmoid_), RoundedSigmoid.apply),
}
_rounded_input: Callable[[Tensor], Tensor] = RoundedInput.apply
#: They write over their argument.
_IN_PLACE = frozenset((torch.relu_, Tensor.relu_, Tensor.tanh_, Tensor.sigmoid_))
#: Function -> the position of its argument `inplace`.
_PLACES = {
    function: list(inspect.signature(function).parameters).index("inplace")
    for function in (*_INPUTS, *_RESULTS)
    if inspect.isfunction(function) and "inplace" in inspect.signature(function).parameters
}
#: They give the same numbers in another shape.
_VIEWS = frozenset(
    (
        *(torch.flatten, torch.reshape, torch.permute, torch.transpose, torch.squeeze, torch.unsqueeze, torch.t),
        *(Tensor.flatten, Tensor.reshape, Tensor.permute, Tensor.transpose, Tensor.squeeze, Tensor.unsqueeze, Tensor.t),
        *(Tensor.view, Tensor.contiguous, Tensor.unflatten),
    )
)


class Int8Activations(TorchFunctionMode):
    """While entered, functions take or give rounded tensors, see the module."""

    def __init__(self) -> None:
        super().__init__()
        # Rounded tensors, with the version that they had: one that was written into since is rounded no longer.
        self._rounded: Any = WeakTensorKeyDictionary()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """One function that is called."""
        named = dict(kwargs or {})
        if not torch.is_grad_enabled() or _keeps_otherwise():
            return func(*args, **named)
        if func in _RESULTS:
            return self._result(func, args, named)
        if func in _PRODUCTS or func in _INPUTS:
            return self._of_input(func, args, named)
        result = func(*args, **named)
        if func in _VIEWS and self._is_rounded(_first(args, named)):
            self._note(result)
        return result

    def _result(self, func: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        x = _first(args, named)
        if not _is_kept(x):
            return func(*args, **named)
        y = _RESULTS[func](x)
        if _is_in_place(func, args, named):
            y = x.copy_(y)
        return self._note(y)

    def _of_input(self, func: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        x = _first(args, named)
        others = [*args[1:], *(value for name, value in named.items() if name != "input")]
        learns = any(isinstance(value, Tensor) and value.requires_grad for value in others)
        if not _is_float(x) or not (learns or (func in _INPUTS and x.requires_grad)):
            return func(*args, **named)
        taken = x if self._is_rounded(x) else self._note(_rounded_input(x))
        if args:
            args = (taken, *args[1:])
        else:
            named["input"] = taken
        result = func(*args, **named)
        return x.copy_(result) if _is_in_place(func, args, named) else result

    def _is_rounded(self, x: Any) -> bool:
        return isinstance(x, Tensor) and self._rounded.get(x) == x._version

    def _note(self, x: Tensor) -> Tensor:
        self._rounded[x] = x._version
        return x


def _keeps_otherwise() -> bool:
    """Whether something else than PyTorch keeps what gradients need, as activation checkpointing does."""
    return torch._C._autograd._top_saved_tensors_default_hooks(False) is not None


def _first(args: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
    return args[0] if args else named.get("input")


def _is_float(x: Any) -> bool:
    return isinstance(x, Tensor) and x.dtype == torch.float32 and x.numel() > 0


def _is_kept(x: Any) -> bool:
    """Whether a gradient goes to x, for which something is kept."""
    return _is_float(x) and bool(x.requires_grad)


def _is_in_place(func: Any, args: tuple[Any, ...], named: Mapping[str, Any]) -> bool:
    """Whether a call writes over its first argument."""
    place = _PLACES.get(func, len(args))
    return func in _IN_PLACE or bool(args[place] if place < len(args) else named.get("inplace"))
