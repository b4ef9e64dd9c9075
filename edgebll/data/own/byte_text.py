"""Texts as data: windows of the bytes of files, in which each byte is to be predicted from those before it.

A sample is `context` bytes, its labels the bytes that follow each of them. Every file is cut into contiguous parts of about the
same length; some are held out, and no window reaches across two parts, so nothing that is evaluated on was trained on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from edgebll.data.corpora import find_corpus, is_corpus
from edgebll.data.dataset import Dataset, Ints
from edgebll.data.own.byte_files import GZIP, ByteFiles, files_below
from edgebll.data.own.data_options import FOUND_OUT, OwnDataOptions
from edgebll.data.own.file_digest import digest_files
from edgebll.data.own.held_out import TEST, TRAIN, UNDECIDED, decide, shuffled_rows
from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.tasks import NextByte

BYTES = "bytes"
#: Before a path: whatever is there is taken as bytes.
PREFIX = "bytes:"
SYMBOLS = 256
#: Parts of a text, at most; fewer where one would not hold _WINDOWS windows.
_PARTS, _WINDOWS = 50, 4
_NOT_OF_BYTES = {one.name for one in fields(OwnDataOptions)} - {"test", "split_seed", *FOUND_OUT}


@dataclass(frozen=True)
class ByteOptions(OwnDataOptions):
    """Options of a text; of those of every kind it has `test` and `split_seed`, which decide the parts that are held out.

    Attributes:
        context: bytes of a sample.
        stride: bytes from the start of one training sample to that of the next; 0 for `context`, so that they do not overlap.

    Raises:
        ConfigError: one is out of range, or of no use here.
    """

    context: int = 128
    stride: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.context < 1 or self.stride < 0:
            raise ConfigError(
                f"the data option context must be at least 1 byte and stride not negative, not {self.context} and {self.stride}"
            )
        defaults = OwnDataOptions()
        for name in sorted(_NOT_OF_BYTES):
            if getattr(self, name) != getattr(defaults, name):
                raise ConfigError(f"a text has no data option {name}: its labels are the bytes themselves; leave it out")


def is_bytes(path: Path | str) -> bool:
    """Whether a name begins with `bytes:`, or a path is that of a .txt file."""
    name = str(path)
    return name.startswith(PREFIX) or Path(name).suffix == ".txt" or name.endswith(f".txt{GZIP}")


def settled_bytes(name: str) -> str:
    """A name with `bytes:` that means the same in every folder; raises DataError where no place is behind it."""
    rest = _behind(name)
    return name if is_corpus(rest) else f"{PREFIX}{Path(rest).absolute()}"


def read_bytes(path: Path, options: ByteOptions, tell: Callable[[str], None]) -> ByteSplits:
    """The training and the test set of a text.

    Args:
        path: of a file or a folder, with or without `bytes:` before it, or `bytes:` and the name of a corpus.
        options: of the data.
        tell: not told anything; here for other kinds.

    Raises:
        DataError: there is nothing, it is no ordinary file, cannot be read, or is too short for one window.
    """
    rest = _behind(str(path))
    place = find_corpus(rest) if is_corpus(rest) else Path(rest)
    if not place.exists():
        raise DataError(f"there is no text at {place}; give a file or a folder that exists")
    files = files_below(place)
    if not files:
        raise DataError(f"the folder {place} has no files; give one with texts in it")
    digest = digest_files(place if place.is_dir() else place.parent, files)
    return ByteSplits(str(path), ByteFiles(files), replace(options, digest=digest))


def _behind(name: str) -> str:
    rest = name.removeprefix(PREFIX)
    if not rest:
        raise DataError(f"there is no place behind {PREFIX}; give a file or a folder, as in {PREFIX}book.txt")
    return rest


class ByteSplits:
    """The training and the test set of a text.

    Args:
        name: of the data.
        files: the bytes.
        options: how they are cut.

    Raises:
        DataError: no file is longer than a window.
    """

    skipped: tuple[str, ...] = ()

    def __init__(self, name: str, files: ByteFiles, options: ByteOptions) -> None:
        self.name, self.options, self._files = name, options, files
        self._parts = _parts_of(files.sizes, options.context + 1)
        if not len(self._parts):
            longest = int(files.sizes.max())
            raise DataError(
                f"{name} has {longest} bytes{' in its longest file' if len(files.sizes) > 1 else ''}, but a sample needs "
                f"{options.context + 1}; give a longer text, or lower the data option context"
            )
        undecided = np.full(len(self._parts), UNDECIDED, np.int8)
        self._held_out = decide(undecided, np.zeros(len(self._parts), np.int64), options.test, options.split_seed) == TEST

    def dataset(self, split: str) -> Dataset:
        """The split "train" or "test".

        Raises:
            DataError: it has no samples.
        """
        training, options = split == "train", self.options
        stride = (options.stride or options.context) if training else options.context
        chosen = self._parts[self._held_out != training]
        if not len(chosen):
            raise DataError(
                f"{self.name} has no {split} samples: it is too short to be split, or the data option test, {options.test:g}, "
                "leaves none; change it, or lower context"
            )
        starts = [np.arange(first, end - options.context, stride) for _, first, end in chosen.tolist()]
        file = np.repeat(chosen[:, 0], [len(one) for one in starts])
        rows = shuffled_rows(np.ones(len(file), bool), options.split_seed + (TRAIN if training else TEST))
        places = file[rows], np.concatenate(starts)[rows]
        samples, labels = (ByteWindows(self._files, *places, options.context, shift) for shift in (0, 1))
        return Dataset(self.name, cast(Any, samples), cast(Any, labels), SYMBOLS, symbols=SYMBOLS, task=NextByte())


class ByteWindows:
    """Windows of texts as an array int64 (N, context) that is read where it is looked at.

    Args:
        files: the bytes.
        file: of each window (N,).
        start: its first byte in its file (N,).
        context: bytes of a window.
        shift: added to every start: 0 for samples, 1 for the bytes that follow.
    """

    dtype, ndim = np.dtype(np.int64), 2

    def __init__(self, files: ByteFiles, file: Ints, start: Ints, context: int, shift: int) -> None:
        self._files, self._file, self._start, self._context, self._shift = files, file, start, context, shift
        self.shape = (len(file), context)
        self.size = len(file) * context

    def __len__(self) -> int:
        return len(self._file)

    def __getitem__(self, index: Any) -> Any:
        """The windows `index` (B,) as int64 (B, context); of a slice, the same windows without the others."""
        file, start = self._file[index], self._start[index]
        if isinstance(index, slice):
            return ByteWindows(self._files, file, start, self._context, self._shift)
        return self._files.windows(file, start + self._shift, self._context).astype(np.int64)

    def copy(self) -> ByteWindows:
        """The same windows; nothing is copied, for nothing is ever changed."""
        return self

    def min(self) -> int:
        """The smallest that a byte may be."""
        return 0

    def max(self) -> int:
        """The largest that a byte may be."""
        return SYMBOLS - 1


def _parts_of(sizes: Ints, window: int) -> Ints:
    """File, first byte and end of every part, int64 (P, 3); files shorter than a window have none."""
    whole = int(sizes.sum())
    length = max(whole // _PARTS, _WINDOWS * window)
    found: list[tuple[int, int, int]] = []
    for number, size in enumerate(sizes.tolist()):
        count = max(1, size // length) if size >= window else 0
        if count == 1 and len(sizes) == 1 and size >= 2 * window:
            count = 2  # the shortest text that has something to hold out
        edges = np.linspace(0, size, count + 1).astype(int).tolist() if count else []
        found += [(number, first, end) for first, end in itertools.pairwise(edges)] if edges else []
    return np.array(found, np.int64).reshape(-1, 3)
