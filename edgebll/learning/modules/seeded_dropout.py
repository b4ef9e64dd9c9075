"""Dropout whose random numbers are part of the state, so that a run replays bit for bit wherever it runs.

A graph has no random operators: two runtimes would draw different numbers, and a replayed step others than the first time. Here
the generator is four numbers in a buffer. A training step already returns every buffer a block writes (batch norm's running
statistics, for one), so the generator travels with the block: it is saved, restored, rolled back and shipped like any other
state, and `step(state, x, y, scalars)` stays pure. In evaluation mode nothing is read or written.

All arithmetic is on multiples of 2^-12 below 2^12 in float32: sums and products of so few digits are exact, so any order of
operations, fused or not, gives the same mask in PyTorch, ONNX Runtime and TensorRT. (No matrix products: TensorRT may round
their inputs to fewer digits.) One mask of 2^20 elements took PyTorch 11 ms, against 16 ms of nn.Dropout, and ONNX Runtime 4 ms
(one thread).

    words    four multiply-with-carry generators (Marsaglia), lag 1, base 2^12: x' = A (x mod 2^12) + floor(x / 2^12)
    keys     one for each row and column of the mask, laid out as a nearly square matrix: the fraction of a fixed
             integer combination of the words
    element  kept where the fraction of  r_i k_j + s_i l_j + c_j  is below 1 - p, for keys r, s of its row and k, l, c of its
             column

Masks of different elements are independent in pairs, and so are those of different steps, to the accuracy tests can see
(tests/unit/learning/test_dropout.py).
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.splitmix64 import hashed

_BASE = 4096
#: A with A * 2^12 - 1 and half of it (rounded down) prime: each generator runs through about 2^23 states.
_MULTIPLIERS = (3948, 3870, 3804, 3645)
_MASK64 = (1 << 64) - 1
#: PyTorch's number of the backward pass that runs, where none does.
_NO_BACKWARD = -1


class SeededDropout(nn.Module):
    """Zeroes elements with probability p in training mode and scales the others by 1 / (1 - p); exports, unlike nn.Dropout.

    Args:
        p: probability, 0 <= p < 1, rounded to a multiple of 1/4096.
        seed: where the random numbers start; by default another one for every module, drawn from PyTorch's generator, so that
            torch.manual_seed decides it.
        whole_channels: zero whole channels (B, C, ...) as nn.Dropout2d does, not single elements.

    Attributes:
        words: the generator's state, a float32 buffer of 4 whole numbers below 2^24. Each forward pass in training mode
            replaces them by the next four.

    Raises:
        ConfigError: p is out of range; from forward, in a part that is computed again in the backward pass.
    """

    words: Tensor

    def __init__(self, p: float = 0.5, seed: int | None = None, *, whole_channels: bool = False) -> None:
        super().__init__()
        self.p = _checked(p)
        self.whole_channels = whole_channels
        self.kept = max(1, round((1 - p) * _BASE))
        start = int(torch.randint(1 << 62, ()).item()) if seed is None else seed
        self.register_buffer("words", torch.tensor(_first_words(start), dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """x of any shape and floating-point dtype to the same."""
        if not self.training or self.kept == _BASE:
            return x
        if torch._C._current_graph_task_id() != _NO_BACKWARD:
            raise ConfigError(
                "dropout cannot lie inside activation checkpointing: computed again in the backward pass it would drop others; "
                "leave it out of the checkpointed part"
            )
        with torch.no_grad():
            shape = (*x.shape[:2], *[1] * (x.ndim - 2)) if self.whole_channels else x.shape
            mask = _mask(self.words, math.prod(shape), self.kept).to(x.dtype).reshape(shape)
            self.words.copy_(_next_words(self.words))
        return x * mask

    def extra_repr(self) -> str:
        """The options, for print()."""
        return f"p={self.p}"


class MaskedDropout(nn.Module):
    """Dropout whose mask comes from outside: for functions exported by `edgebll export-step`, where any tensor may be an input.

    Args:
        p: probability with which the caller's masks are 0; the elements kept are scaled by 1 / (1 - p).

    Raises:
        ConfigError: p is out of range.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = _checked(p)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x, and a mask of zeros and ones (or truth values) that broadcasts to it; evaluation mode ignores the mask."""
        return x * (mask.to(x.dtype) * (1 / (1 - self.p))) if self.training else x

    def extra_repr(self) -> str:
        """The options, for print()."""
        return f"p={self.p}"


def _checked(p: float) -> float:
    if not 0 <= p < 1:
        raise ConfigError(f"the dropout probability must be at least 0 and below 1, not {p}")
    return float(p)


def _fraction(x: Tensor) -> Tensor:
    return x - x.floor()


def _next_words(words: Tensor) -> Tensor:
    carry = (words * (1 / _BASE)).floor()
    return (words - carry * _BASE) * torch.tensor(_MULTIPLIERS, dtype=torch.float32, device=words.device) + carry


def _mask(words: Tensor, count: int, kept: int) -> Tensor:
    """`count` elements: _BASE / kept with probability kept / _BASE, else 0."""
    rows, columns = _factors(count)
    parts = _fraction(words * (1 / _BASE))
    row1, row2 = (_fraction((table * parts).sum(-1, keepdim=True)) for table in _tables(rows, 0, words.device))
    column1, column2, offset = (_fraction((table * parts).sum(-1)) for table in _tables(columns, 2, words.device))
    odd = (column1 * (_BASE / 4)).floor() * 2 + 1
    mixed = _fraction(row1 * odd + row2 * (column2 * (_BASE / 2)).floor() + offset)
    return torch.where(mixed < kept / _BASE, _BASE / kept, 0.0)


def _factors(count: int) -> tuple[int, int]:
    """Two numbers whose product is `count`, the first the larger one not above the root."""
    rows = next((n for n in range(math.isqrt(count), 0, -1) if count % n == 0), 1)
    return rows, count // rows


def _tables(size: int, first: int, device: torch.device) -> list[Tensor]:
    return [torch.from_numpy(table).to(device) for table in _coefficients(size, first)]


@functools.lru_cache(maxsize=64)
def _coefficients(size: int, first: int) -> tuple[npt.NDArray[np.float32], ...]:
    """Tables (size, 4) that make keys of the words: whole numbers below 2^10, the first ones odd, so that keys are uniform.

    Two tables for rows (first = 0), three for columns (first = 2).
    """
    tables = []
    for number in range(first, 2 if first == 0 else 5):
        content = hashed(np.arange(number << 40, (number << 40) + 4 * size, dtype=np.uint64)) >> np.uint64(54)
        content = content.reshape(size, 4)
        content[:, 0] |= np.uint64(1)
        tables.append(content.astype(np.float32))
    return tuple(tables)


def _first_words(seed: int) -> list[int]:
    """Four states, none of the two that a generator never leaves (0 and A * 2^12 - 1)."""
    start = np.array([(4 * seed + place) & _MASK64 for place in range(4)], np.uint64)
    return [1 + int(word) % (a * _BASE - 2) for word, a in zip(hashed(hashed(start)), _MULTIPLIERS, strict=True)]
