"""The words of which the kernels of a plan consist: 2 or 4 bytes wide, unsigned or signed, written and read in order."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TypeVar

from edgebll.kernel.errors import BundleError
from edgebll.kernel.microcontroller.plan_parts import Operand, PlanDtype, Region

Member = TypeVar("Member", bound=IntEnum)
_LARGEST = {2: (0xFFFF, -(1 << 15), (1 << 15) - 1), 4: (0xFFFFFFFF, -(1 << 31), (1 << 31) - 1)}


class WordWriter:
    """Collects words; the width is chosen when all are known."""

    def __init__(self) -> None:
        self._words: list[tuple[int, bool]] = []

    def __len__(self) -> int:
        return len(self._words)

    def unsigned(self, *values: int) -> None:
        """Append unsigned words.

        Args:
            values: each at least 0.
        """
        self._words += [(value, False) for value in values]

    def signed(self, *values: int) -> None:
        """Append signed words.

        Args:
            values: of any sign.
        """
        self._words += [(value, True) for value in values]

    def operand(self, operand: Operand) -> None:
        """Append where an operand lies.

        Args:
            operand: of any number of strides.
        """
        self.unsigned(operand.region | operand.dtype << 2, operand.offset)
        self.signed(*operand.strides)

    def extend(self, other: WordWriter) -> None:
        """Append all words of another writer.

        Args:
            other: stays as it is.
        """
        self._words += other._words

    def width(self) -> int:
        """Bytes of a word that hold every value: 2 or 4.

        Raises:
            BundleError: a value needs more than 4 bytes.
        """
        for width, (largest, low, high) in _LARGEST.items():
            if all(low <= value <= high if signed else 0 <= value <= largest for value, signed in self._words):
                return width
        raise BundleError("a plan holds numbers of at most 32 bits; the block is too large for a microcontroller")

    def to_bytes(self, width: int) -> bytes:
        """All words, little-endian.

        Args:
            width: bytes of a word, 2 or 4.
        """
        mask = (1 << 8 * width) - 1
        return b"".join((value & mask).to_bytes(width, "little") for value, _ in self._words)


class WordReader:
    """Reads what a `WordWriter` wrote.

    Args:
        data: the words.
        width: bytes of a word, 2 or 4.
    """

    def __init__(self, data: bytes, width: int) -> None:
        code = "H" if width == 2 else "I"
        self._sign = 1 << (8 * width - 1)
        self._words: tuple[int, ...] = struct.unpack(f"<{len(data) // width}{code}", data[: len(data) // width * width])
        self.at = 0

    def unsigned(self) -> int:
        """The next word.

        Raises:
            BundleError: there is none.
        """
        if self.at >= len(self._words):
            raise BundleError("a kernel of the plan ends before its last word; write the plan anew")
        self.at += 1
        return self._words[self.at - 1]

    def only_padding_left(self) -> bool:
        """Whether what is left is at most one word, of zero."""
        return self._words[self.at :] in ((), (0,)) and (self.at == len(self._words) or self._sign == 1 << 15)

    def signed(self) -> int:
        """The next word, as a signed number."""
        value = self.unsigned()
        return value - 2 * self._sign if value & self._sign else value

    def many(self, count: int) -> tuple[int, ...]:
        """The next unsigned words.

        Args:
            count: how many.
        """
        return tuple(self.unsigned() for _ in range(count))

    def pair(self) -> tuple[int, int]:
        """The next two unsigned words."""
        return self.unsigned(), self.unsigned()

    def operand(self, rank: int) -> Operand:
        """The next operand.

        Args:
            rank: number of its strides.

        Raises:
            BundleError: its region or dtype is unknown.
        """
        where, offset = self.pair()
        return Operand(
            one_of(Region, where & 3), offset, tuple(self.signed() for _ in range(rank)), one_of(PlanDtype, where >> 2)
        )


def one_of(kind: type[Member], value: int) -> Member:
    """A number as a member of an enumeration.

    Args:
        kind: the enumeration.
        value: as it stands in the plan.

    Raises:
        BundleError: the enumeration has no such member.
    """
    try:
        return kind(value)
    except ValueError:
        raise BundleError(f"a plan has {kind.__name__} {value}, which no version knows; write the plan anew") from None
