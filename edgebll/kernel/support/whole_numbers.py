"""Whole numbers in texts of other programs: what a header, a file of the system or a version says."""

from __future__ import annotations

#: More digits than any of them has; what is longer is damage.
_MAX_DIGITS = 20


def whole_number(text: str) -> int | None:
    """The number that a text is, in the digits 0 to 9 alone; None where it is none, as of "²" or "٣".

    Args:
        text: without anything around the digits.

    Examples:
        >>> from edgebll.kernel.support.whole_numbers import whole_number
        >>> whole_number("042"), whole_number("max"), whole_number("²"), whole_number("")
        (42, None, None, None)
    """
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS else None


def version_numbers(version: str) -> tuple[int, ...]:
    """The parts of a dotted version that are numbers.

    Args:
        version: such as "8.6.1.post1".

    Examples:
        >>> from edgebll.kernel.support.whole_numbers import version_numbers
        >>> version_numbers("8.6.1.post1")
        (8, 6, 1)
    """
    return tuple(number for part in version.split(".") if (number := whole_number(part)) is not None)
