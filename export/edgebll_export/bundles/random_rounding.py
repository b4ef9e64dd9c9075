"""PyTorch with an arithmetic that rounds at random: every operation's result is off by as much as another processor's may be.

Runs under it show what rounding can do to a function's results, whatever makes them sensitive: sums that cancel, comparisons
that turn, steps along noise. (Known as Monte Carlo arithmetic: Parker 1997, UCLA CSD-970002.) Forward and backward pass are
reached alike, since what autograd does are operations too. Results that are exact stay exact - copies, selections, whole
numbers, and sums and products of so few digits that float64 gives the same - for programs may rely on those: counters, labels,
and the generators of `SeededDropout`.
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

#: Relative error of one operation: what fast convolution algorithms round float32 by, and a half unit in the last place of half
#: precision, where wider sums are the rule.
NOISE = {torch.float32: 3e-6, torch.float64: 1e-13, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}
_HALVES = (torch.float16, torch.bfloat16)
_POOL_SIZE = (1 << 20) + 7

#: They move, choose or make up numbers, and round none.
_NAMES = """
abs alias arange cat ceil clamp clamp_max clamp_min clone constant_pad_nd copy_ detach detach_ empty empty_like empty_strided
fill_ flip floor from_int8 full full_like gather hardtanh index index_select int8_scale lift_fresh_copy max
max_pool2d_with_indices maximum min minimum neg new_empty new_full new_ones new_zeros one_hot ones ones_like relu relu_ repeat
roll round scalar_tensor scatter select_backward select_scatter sign slice_backward slice_scatter sort stack threshold_backward
to_int8 topk tril triu trunc where zero_ zeros zeros_like
"""
_EXACT = frozenset(_NAMES.split())
#: Worth asking float64 whether their results are exact.
_OFTEN_EXACT = frozenset(("add", "div", "mul", "rsub", "sub", "sum"))


class RandomRounding(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While entered, operations round at random.

    Args:
        seed: of where each operation begins in one list of random numbers.

    Attributes:
        elements: how many numbers operations have given so far.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.elements = 0
        self._random = random.Random(seed)

    def moved(self, value: Tensor) -> Tensor:
        """An input off by rounding; whole numbers, such as labels, masks and counters, are exact and stay."""
        content = value.detach()
        if content.dtype not in NOISE:
            return content.clone()
        moved = torch.where(content == content.round(), content, self._noisy(content))
        return moved.requires_grad_(value.requires_grad)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """One operation."""
        named = dict(kwargs or {})
        name = func.overloadpacket.__name__
        out = func(*args, **named)
        if name in _EXACT or (name == "_to_copy" and out.dtype not in _HALVES):
            return out
        if isinstance(out, Tensor):
            wide = functools.partial(_in_float64, func, args, named) if name in _OFTEN_EXACT else None
            return self._rounded(out, func._schema.returns[0].alias_info, wide)
        if not isinstance(out, (tuple, list)) or len(out) != len(func._schema.returns):
            return out
        returns = zip(out, func._schema.returns, strict=True)
        return type(out)(self._rounded(each, of.alias_info, None) for each, of in returns)

    def _rounded(self, out: Any, alias: Any, wide: Callable[[], Tensor | None] | None) -> Any:
        """A result off by rounding, but for views of others, whole numbers and what `wide`, where given, finds to be exact."""
        if not isinstance(out, Tensor) or out.dtype not in NOISE or (alias is not None and not alias.is_write):
            return out
        self.elements += out.numel()
        moved = self._noisy(out)
        if _has_few_digits(out):
            exact = wide() if wide else None
            moved = torch.where(out == (out.round() if exact is None else exact), out, moved)
        return moved if alias is None else out.copy_(moved)

    def _noisy(self, value: Tensor) -> Tensor:
        count = value.numel()
        pool = _factors(value.dtype)
        if count > _POOL_SIZE:
            pool = pool.repeat(-(-count // _POOL_SIZE))
        start = self._random.randrange(len(pool) - count + 1)
        return (value * pool[start : start + count].reshape(value.shape)).to(value.dtype)


@functools.cache
def _factors(dtype: torch.dtype) -> Tensor:
    """Numbers near 1, uniform, whose standard deviation is the dtype's NOISE; those of half precision in float32."""
    full = torch.float64 if dtype == torch.float64 else torch.float32
    uniform = torch.rand(_POOL_SIZE, generator=torch.Generator().manual_seed(0), dtype=full)
    return 1 + (2 * uniform - 1) * (3**0.5 * NOISE[dtype])


def _has_few_digits(value: Tensor) -> bool:
    """Whether both ends are multiples of 2^-12: then the rest may be, too. Of half precision, every large number is."""
    if value.dtype in _HALVES or not value.numel():
        return False
    return all(
        not math.isfinite(end) or (end * 4096) % 1 == 0 for end in value.reshape(-1)[:: max(1, value.numel() - 1)].tolist()
    )


def _in_float64(func: Any, args: tuple[Any, ...], named: Mapping[str, Any]) -> Tensor | None:
    """What an operation on float32 gives in float64, from the same arguments; None where that cannot be said."""

    def wide(value: Any) -> Any:
        return value.double() if isinstance(value, Tensor) and value.dtype == torch.float32 else value

    if named.get("dtype") is not None or not any(isinstance(each, Tensor) and each.dtype == torch.float32 for each in args):
        return None
    result = func(*tree_map(wide, args), **named)
    return result if isinstance(result, Tensor) else None
