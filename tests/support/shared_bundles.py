"""Bundles that many files of tests need: exported by the first process of the tests that asks, read by all."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from edgebll.kernel.bundle import Bundle, open_bundle

#: The environment variable that names the folder they lie in, which tests/conftest.py makes for all workers, and removes.
SHELF = "TESTS_SHELF"


def shared_bundle(name: str, make: Callable[[Path], object]) -> Bundle:
    """The bundle of a name; whoever changes its files copies it first.

    Args:
        name: of its folder: what differs in anything has another.
        make: writes it into a new folder, as a whole, as exporters do.
    """
    folder = _shelf() / name
    with (folder.parent / f"{name}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            make(folder)
    return open_bundle(folder)


@cache
def _shelf() -> Path:
    return Path(os.environ.get(SHELF) or mkdtemp(prefix="edgebll-shelf-"))
