"""Sizes of memory as people write them: 128k, 1M, 65536."""

from __future__ import annotations

import re

from edgebll.kernel.support.bounds import FAR, WrongValue

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20}
_SIZE = re.compile(r"(\d{1,12})(?:\.(\d{1,3}))?\s*([km]?)(?:i?b)?", re.IGNORECASE)


def memory_bytes(name: str, size: str | int) -> int:
    """A size in bytes.

    Args:
        name: of the option, as Python spells it.
        size: a number of bytes, or a text of a number and a unit: k for 1024 bytes, M for 1024 k.

    Raises:
        WrongValue: it is no size, none at all, or beyond what 32 bits address.

    Examples:
        >>> from edgebll.kernel.support.memory_sizes import memory_bytes
        >>> memory_bytes("ram", "128k"), memory_bytes("ram", "0.5M"), memory_bytes("ram", 4096)
        (131072, 524288, 4096)
    """
    found = _SIZE.fullmatch(str(size).strip())
    if found is None:
        raise WrongValue(name, f"must be a size such as 128k, 1M or 65536, not {size!r}")
    whole, part, unit = found.groups()
    count = int(float(f"{whole}.{part or 0}") * _UNITS[unit.lower()])
    if not 0 < count < 2 * FAR:
        raise WrongValue(name, f"must be above 0 and less than 4096M, not {size}")
    return count


def size_text(count: int) -> str:
    """Bytes in words: 131072 as "128.0 KiB"."""
    return f"{count / 1024:.1f} KiB"
