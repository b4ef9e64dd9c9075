"""Code of others that runs inside ours: which block it is in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from edgebll.kernel.errors import ConfigError


@contextlib.contextmanager
def in_block(name: str) -> Iterator[None]:
    """Name the block in what is refused inside.

    Raises:
        ConfigError: the same that was raised, with the name in front.
    """
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error
