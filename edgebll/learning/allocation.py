"""Memory that there is not: torch and numpy say so each in a way of their own, users are told in one sentence what to lower."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import torch

from edgebll.kernel.errors import ConfigError

#: What torch's RuntimeErrors say where memory is not there, or the size of a tensor is more than any number of bytes.
_TOLD = re.compile(r"allocat|out of memory|overflow|storage size|invalid size", re.IGNORECASE)
_ASKED = re.compile(r"(?:tried to allocate|allocate)\s+(\d+) bytes")
_GIB = 1 << 30


@contextlib.contextmanager
def telling_of_memory(what: str, lower: str) -> Iterator[None]:
    """Turn an error about memory, of torch's allocator or numpy's, into one sentence.

    Args:
        what: what needs it, e.g. "the network mlp".
        lower: what to lower, e.g. "its width".

    Raises:
        ConfigError: there is not enough.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_about_memory(error):
            raise
        found = _ASKED.search(str(error))
        asked = f" ({int(found[1]) / _GIB:.3g} GiB at once)" if found else ""
        raise ConfigError(f"{what} needs more memory than there is{asked}; lower {lower}") from error


def _is_about_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return type(error) is RuntimeError and _TOLD.search(str(error)) is not None
