"""A folder with a subfolder a class, and perhaps train/ and test/ above: its files, of what class and for what each is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Ints
from edgebll.data.own.held_out import PART_NAMES, TEST, TRAIN, UNDECIDED
from edgebll.kernel.errors import DataError

#: So many names stand in a message.
_SHOWN = 5


@dataclass(frozen=True)
class ClassFiles:
    """Files of classes.

    Attributes:
        folder: they lie below.
        files: sorted by their names within each class.
        classes: names of the classes, in the order of their labels.
        labels: int64 (N,).
        parts: int8 (N,), see `held_out`.
    """

    folder: Path
    files: tuple[Path, ...]
    classes: tuple[str, ...]
    labels: Ints
    parts: npt.NDArray[np.int8]

    def name_of(self, row: int) -> str:
        """A file's name below the folder."""
        return self.files[row].relative_to(self.folder).as_posix()


def has_class_files(folder: Path, endings: Sequence[str]) -> bool:
    """Whether there is a file with one of the endings in a folder of a class."""
    return any(_is_file(path, endings) for part in _parts(folder) for path in part.glob("*/**/*"))


def find_class_files(folder: Path, endings: Sequence[str], what: str, classes: Sequence[str] = ()) -> ClassFiles:
    """All files of all classes.

    Args:
        folder: with a subfolder a class, or with train/ and test/ that have those.
        endings: of the files, in small letters, e.g. ".png".
        what: they are, for messages, e.g. "image".
        classes: names and order of the classes; none may be there beside them. Empty for those that are there, sorted.

    Raises:
        DataError: a class is empty or unknown, there are none, or train/ and test/ have different ones.
    """
    parts = _parts(folder)
    found = {part: _by_class(part, endings, what) for part in parts}
    if not classes:
        _check_equal(folder, found)
        classes = sorted(next(iter(found.values())))
    files, labels, kinds = list[Path](), list[int](), list[int]()
    for part, by_class in found.items():
        if unknown := sorted(by_class.keys() - set(classes)):
            known = _listed(classes)
            raise DataError(f"{part} has a class {unknown[0]!r}, but the data option classes has only {known}; take it out")
        for label, name in enumerate(classes):
            some = by_class.get(name, [])
            files += some
            labels += [label] * len(some)
            kinds += [parts[part]] * len(some)
    return ClassFiles(folder, tuple(files), tuple(classes), np.array(labels, np.int64), np.array(kinds, np.int8))


def _parts(folder: Path) -> dict[Path, int]:
    """The folders whose subfolders are classes, and what their samples are for."""
    folders = _folders(folder)
    named = {path: PART_NAMES[path.name.lower()] for path in folders if path.name.lower() in PART_NAMES}
    if {TRAIN, TEST} <= set(named.values()):
        return named
    if len(named) == len(folders) == 1:  # train/ alone: what is held out is held out of it
        return dict.fromkeys(folders, UNDECIDED)
    return {folder: UNDECIDED}


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _by_class(part: Path, endings: Sequence[str], what: str) -> dict[str, list[Path]]:
    found = {path.name: sorted(file for file in path.rglob("*") if _is_file(file, endings)) for path in _folders(part)}
    if not found:
        raise DataError(f"{part} has no subfolder; make one for each class and put its {what}s there")
    if empty := [name for name, files in found.items() if not files]:
        known = ", ".join(endings[:_SHOWN])
        raise DataError(
            f"{part / empty[0]} has no {what} ({known}, ...), but every subfolder is a class; fill it or take it out"
        )
    return found


def _is_file(path: Path, endings: Sequence[str]) -> bool:
    return path.suffix.lower() in endings and not path.name.startswith(".") and path.is_file()


def _check_equal(folder: Path, found: dict[Path, dict[str, list[Path]]]) -> None:
    first, *others = found
    for other in others:
        if different := sorted(found[first].keys() ^ found[other].keys()):
            here, there = (first, other) if different[0] in found[first] else (other, first)
            raise DataError(
                f"{folder}: the class {different[0]} is in {here.name}/ but not in {there.name}/; both need the same classes"
            )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
