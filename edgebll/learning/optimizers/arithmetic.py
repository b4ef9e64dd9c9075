"""The arithmetic of updates with few calls and little memory: a step of many small parameters is mostly those.

Results are those of the plain operators to the last bit. Where a step is traced, or watched operator by operator as `verify`
does, they are the plain operators: graphs hold neither writes nor constants that are tensors.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import get_proxy_mode
from torch.utils._python_dispatch import _get_current_dispatch_mode


class Arithmetic:
    """The plain operators."""

    def scaled(self, number: float, x: Tensor) -> Tensor:
        """number * x, in memory of its own."""
        return number * x

    def total(self, a: Tensor, b: Tensor, fresh: Tensor) -> Tensor:
        """a + b; `fresh` is one of them, of the result's shape, and nobody needs it any more."""
        return a + b

    def difference(self, a: Tensor, b: Tensor) -> Tensor:
        """a - b, where nobody needs b any more."""
        return a - b


class InPlace(Arithmetic):
    """The same in the memory of what is no longer needed, and with numbers that PyTorch need not make tensors of each time."""

    def scaled(self, number: float, x: Tensor) -> Tensor:
        """number * x, in memory of its own."""
        return torch.mul(x, _constant(number, x.dtype)) if x.device.type == "cpu" else number * x

    def total(self, a: Tensor, b: Tensor, fresh: Tensor) -> Tensor:
        """a + b, in the memory of `fresh`."""
        return fresh.add_(b if fresh is a else a)

    def difference(self, a: Tensor, b: Tensor) -> Tensor:
        """a - b, in the memory of b."""
        return torch.sub(a, b, out=b)


_PLAIN, _IN_PLACE = Arithmetic(), InPlace()


def arithmetic() -> Arithmetic:
    """The one for now."""
    return _IN_PLACE if get_proxy_mode() is None and _get_current_dispatch_mode() is None else _PLAIN


@lru_cache(maxsize=64)
def _constant(number: float, dtype: torch.dtype) -> Tensor:
    return torch.tensor(number, dtype=dtype)
