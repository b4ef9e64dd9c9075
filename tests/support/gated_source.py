"""A live source that gives some samples, and the others when it is told to."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgebll.data import LiveSource

CLASSES = ("off", "on")
#: Opens what a source in a file of its own has not given yet.
OPENED = threading.Event()


def pairs(start: int = 0) -> Iterator[tuple[Any, int]]:
    """Samples [n, -n] without end, by turns of two classes."""
    for number in itertools.count(start):
        yield np.array([number, -number], np.float32), number % 2


class Gate:
    """A source that gives so many samples, and the rest when it is opened.

    Args:
        free: samples that come at once.
    """

    def __init__(self, free: int) -> None:
        self._free, self.opened, self.taken = free, threading.Event(), 0

    def __iter__(self) -> Iterator[tuple[Any, int]]:
        for pair in pairs():
            if self.taken >= self._free:
                assert self.opened.wait(20)
            self.taken += 1
            yield pair


def source(folder: Path, samples: Any = pairs, count: int = 20) -> LiveSource:
    """A live source whose record is in a folder.

    Args:
        folder: it.
        samples: as `LiveSource` takes them.
        count: of all.
    """
    return LiveSource(samples, folder / "record", count=count, classes=CLASSES)
