"""Weights and moments that are whole multiples of a power of two, one for each row: what int16 or int8 and a unit a row hold.

A step computes in float32 and rounds what it leaves. So a board may keep integers in the place of floats and has the same bits,
and everything else goes on with floats. A *row* is one place of the first axis; tensors of one axis, biases and norms, stay as
they are.

The unit of a row is known before its new numbers are, for it follows from the old ones: it doubles where the largest of them
takes more than three quarters of the range, and halves where it takes less than an eighth. What is beyond the range is cut.

Rounding to nearest would lose every change below half a unit. So before it a number is moved by less than half a unit, by an
amount that goes from step to step through a low-discrepancy sequence and is another one along the row: a change comes through
as often as it is large. There are 2^(24 - bits) amounts, evenly spaced, so that float32 adds them exactly and what does not
change stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.short_state import DITHER, SHORT_BITS, UNIT

Tensors = Mapping[str, Tensor]
#: Ways from step to step, and from number to number of a row, through all amounts: of the golden and of the plastic number.
_STEP, _ALONG = 0.6180339887498949, 0.7548776662466927
#: Beside this number floats are whole, so that an addition rounds, halves to even.
_ROUNDER = 1.5 * 2.0**23
#: The smallest unit is this part of the range's inverse.
_LEAST = 2.0**-10


@dataclass(frozen=True)
class StateRounding:
    """How numbers of so many bits are made of floats.

    Attributes:
        bits: 16 or 8.
    """

    bits: int

    @property
    def most(self) -> float:
        """The range: whole numbers lie in -most ... most - 1."""
        return 2.0 ** (self.bits - 1)

    @property
    def levels(self) -> int:
        """How many amounts there are by which a number is moved."""
        return 1 << (24 - self.bits)

    def start(self, values: Tensors) -> dict[str, Tensor]:
        """Values rounded to nearest, and their units by the name UNIT + that of the value.

        Args:
            values: by name, each of two or more axes.
        """
        found: dict[str, Tensor] = {}
        for name, value in values.items():
            unit = found[UNIT + name] = self._first_unit(value)
            along = _as_rows(unit, value)
            found[name] = torch.round(value / along).clamp(-self.most, self.most - 1) * along + 0.0
        return found

    def amount(self, state: Tensors) -> dict[str, Tensor]:
        """Where the sequence of amounts stands, by its name in the state; its start where that has none or finer ones."""
        now = state.get(DITHER)
        if now is None or bool(now * self.levels % 1 != 0):
            now = next((value.new_zeros(()) for value in state.values()), torch.zeros(()))
        return {DITHER: now}

    def holds(self, value: Tensor, unit: Tensor) -> bool:
        """Whether a value is what its row's units and whole numbers of so many bits give, without a zero below zero.

        Args:
            value: (R, ...).
            unit: (R,).
        """
        whole = value / _as_rows(unit, value)
        inside = (whole >= -self.most) & (whole < self.most) & (whole == whole.floor()) & ~(torch.signbit(value) & (value == 0))
        return bool(inside.all()) and bool((torch.frexp(unit).mantissa == 0.5).all())

    def rounded(self, before: Tensors, after: Tensors) -> dict[str, Tensor]:
        """What a step leaves.

        Args:
            before: the state before, with units.
            after: the values that the step has computed, by name.

        Returns:
            Those of `after`, rounded where `before` has their units, and the next units and amount.
        """
        result = dict(after)
        amounts: dict[tuple[int, ...], Tensor] = {}
        for name in after:
            if UNIT + name not in before:
                continue
            old, unit = before[name], self._next_unit(before[name], before[UNIT + name])
            row = tuple(old.shape[1:])
            if row not in amounts:
                amounts[row] = self._amounts(row, before[DITHER])
            along = _as_rows(unit, old)
            moved = after[name] * along.reciprocal() + amounts[row]
            inside = moved.clamp(-self.most, self.most - 1)
            result[name] = ((inside + _ROUNDER) - _ROUNDER) * along
            result[UNIT + name] = unit
        moved_on = before[DITHER] + _odd(_STEP, self.levels) / self.levels
        return {**result, DITHER: moved_on - moved_on.floor()}

    def _next_unit(self, value: Tensor, unit: Tensor) -> Tensor:
        largest = value.abs().amax(dim=tuple(range(1, value.dim())))
        halved = (unit * 0.5).clamp(min=_LEAST / self.most)
        less = torch.where(largest < unit * (self.most / 8), halved, unit)
        return torch.where(largest > unit * (self.most * 0.75), unit * 2.0, less)

    def _first_unit(self, value: Tensor) -> Tensor:
        """Powers of two by which the largest number of a row takes a quarter to half of the range; of zeros, those of 1."""
        largest = value.abs().amax(dim=tuple(range(1, value.dim())))
        exponent = torch.frexp(torch.where(largest > 0, largest, torch.ones_like(largest))).exponent
        return torch.ldexp(torch.ones_like(largest), exponent + 1).div(self.most).clamp(min=_LEAST / self.most)

    def _amounts(self, row: tuple[int, ...], now: Tensor) -> Tensor:
        """Amounts between -1/2 and 1/2 along a row."""
        place = torch.arange(math.prod(row), device=now.device) * _odd(_ALONG, self.levels) % self.levels
        sums = (place.to(torch.float32) + 0.5) / self.levels + now
        return (sums - sums.floor() - 0.5).reshape(row)


def _odd(part: float, levels: int) -> int:
    """The odd number nearest to a part of all levels: its multiples go through all of them."""
    return int(part * levels) // 2 * 2 + 1


def _as_rows(unit: Tensor, value: Tensor) -> Tensor:
    return unit.reshape(-1, *(1,) * (value.dim() - 1))


def check_bits(bits: int) -> None:
    """Raise ConfigError unless a state can have so many bits."""
    if bits not in (*SHORT_BITS, 32):
        raise ConfigError(f"state_bits must be 32, 16 or 8, but is {bits}")
