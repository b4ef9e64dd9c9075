"""Arrays in files of numpy: one .npz, or a folder of .npy files, which are mapped into memory and may be larger than it.

Named x and y, or x_train, y_train, x_test, y_test; without y, samples have no labels. Pickled objects are never loaded.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll.data.own.data_options import NO, YES, OwnDataOptions
from edgebll.data.own.file_digest import digest_files
from edgebll.data.own.held_out import PART_NAMES, TEST, TRAIN, UNDECIDED
from edgebll.data.own.label_numbers import settle_labels
from edgebll.data.own.sample_inputs import check_inputs, first_input, joined, side_arrays
from edgebll.data.own.sample_pool import SamplePool
from edgebll.data.own.sample_rows import SampleRows
from edgebll.kernel.errors import DataError

ARRAYS = "arrays"
_CHANNELS = (1, 3)
_LONG_BYTES = 1 << 30
Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class ArrayOptions(OwnDataOptions):
    """Options of arrays; images of uint8 are normalised unless told otherwise, other numbers are not.

    Attributes:
        inputs: names of the arrays that a sample has besides x, or of all where none is called x: then the first is x.
    """

    inputs: tuple[str, ...] = ()


def is_array_file(path: Path) -> bool:
    """Whether it is an .npz file, or a folder with x.npy or x_train.npy, or with .npy files of other names and no folders."""
    if path.suffix == ".npz" or (path / "x.npy").is_file() or (path / "x_train.npy").is_file():
        return True
    return path.is_dir() and any(path.glob("*.npy")) and not any(one.is_dir() for one in path.iterdir())


def read_array_file(path: Path, options: ArrayOptions, tell: Callable[[str], None]) -> SamplePool:
    """Samples and labels from arrays.

    Args:
        path: an .npz file, or a folder of .npy files.
        options: of the data.
        tell: takes a sentence before what may take long.

    Raises:
        DataError: an array is missing, damaged, or does not fit the others; a number is none; a label is out of range.
        ConfigError: the option inputs names what is none.
    """
    if not options.digest:
        check_inputs(str(path), options.inputs)
    files = sorted(path.glob("*.npy")) if path.is_dir() else [path]
    total = sum(file.stat().st_size for file in files)
    if total >= _LONG_BYTES:
        tell(f"reading {total / 2**30:.1f} GiB of {path} through once, to check them and to know them again")
    arrays = {file.stem: _load(file) for file in files} if path.is_dir() else _load_npz(path)
    digest = digest_files(path if path.is_dir() else path.parent, files)
    return pool_of(str(path), arrays, replace(options, digest=digest))


def pool_of(name: str, arrays: Arrays, options: ArrayOptions) -> SamplePool:
    """A pool of samples and labels in arrays.

    Args:
        name: of the data.
        arrays: x and y, or x_train, y_train, x_test and y_test; and side inputs, see `sample_inputs`.
        options: of the data.

    Raises:
        DataError: as `read_array_file`.
    """
    groups = _groups(name, arrays, first_input(arrays, options.inputs))
    samples = [as_samples(f"{name}: {x}", arrays[x]) for x, _, _ in groups]
    if len({(some.shape[1:], some.dtype) for some in samples}) > 1:
        shapes = " and ".join(f"{x} {some.dtype} {some.shape}" for (x, _, _), some in zip(groups, samples, strict=True))
        raise DataError(f"{name}: samples for training and for evaluation must be of one shape and type, not {shapes}")
    labels, options = settle_labels(name, _given_labels(name, {y: arrays[y] for _, y, _ in groups if y in arrays}), options)
    for (x, y, _), some in zip(groups, samples, strict=True):
        if y in arrays and len(arrays[y]) != len(some):
            raise DataError(f"{name} has {len(some)} samples in {x}, but {len(arrays[y])} labels in {y}; give one for each")
    side = joined(name, [side_arrays(name, arrays, y.removeprefix("y"), options.inputs) for _, y, _ in groups])
    for key, values in side.items():
        if len(values) != sum(map(len, samples)):
            raise DataError(f"{name} has {sum(map(len, samples))} samples, but {len(values)} in {key}; give one for each")
    parts = np.concatenate([np.full(len(some), part, np.int8) for (_, _, part), some in zip(groups, samples, strict=True)])
    whole = samples[0] if len(samples) == 1 else np.concatenate(samples)
    pixels = whole.dtype == np.uint8 and whole.ndim == 4
    options = replace(options, normalize=options.normalize or (YES if pixels else NO))
    return SamplePool(name, whole, labels, parts, options, side=side)


def _given_labels(name: str, given: Arrays) -> npt.NDArray[Any] | None:
    """Labels of all parts as they came; None for none."""
    shapes = [values.shape for values in given.values()]
    if any(not shape or shape[1:] != shapes[0][1:] for shape in shapes):
        has = " and ".join(f"{y} {shape}" for y, shape in zip(given, shapes, strict=True))
        raise DataError(
            f"{name}: labels must be (samples, ...), one for each sample and all of one shape, not {has}; mend them"
        )
    return np.concatenate(list(given.values())) if given else None


def as_samples(what: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Samples (N, ...) as a pool takes them: images of uint8 with their channels first.

    Args:
        what: they are, for messages.
        values: (N, ...); uint8 images (N, H, W), (N, H, W, C) or (N, C, H, W).

    Raises:
        DataError: they are no numbers, or one of them is not finite.
    """
    if values.dtype.kind not in "biuf" or values.ndim < 2 or not len(values):
        raise DataError(f"{what} must be numbers (samples, ...), not {values.dtype} {values.shape}")
    if values.dtype == np.uint8 and values.ndim == 3:
        return values[:, None]
    if values.dtype == np.uint8 and values.ndim == 4 and values.shape[-1] in _CHANNELS and values.shape[1] not in _CHANNELS:
        return values.transpose(0, 3, 1, 2)
    if values.dtype.kind == "f":
        _check_finite(what, values)
    return values


def _check_finite(what: str, values: npt.NDArray[Any]) -> None:
    start = 0
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite in it, and refused
        for piece in SampleRows(values, np.arange(len(values))).pieces():
            if not np.isfinite(piece).all():
                row = start + int(np.argwhere(~np.isfinite(piece))[0][0])
                raise DataError(f"{what} has a number that is not finite in sample {row}; mend it or take the sample out")
            start += len(piece)


def _groups(name: str, arrays: Arrays, x: str) -> list[tuple[str, str, int]]:
    """Names of the samples and of the labels of each part, and what it is for."""
    if x in arrays:
        return [(x, "y", UNDECIDED)]
    found = [(f"{x}_{word}", f"y_{word}", part) for word, part in PART_NAMES.items() if f"{x}_{word}" in arrays]
    labelled = {y in arrays for _, y, _ in found}
    if {part for _, _, part in found} == {TRAIN, TEST} and len(labelled) == 1:
        return found
    has = ", ".join(sorted(arrays)) or "nothing"
    raise DataError(f"{name} needs arrays {x} and y, or {x}_train, y_train, {x}_test and y_test, but has {has}; name them so")


def named_array(path: Path, name: str) -> npt.NDArray[Any]:
    """One array by its name.

    Args:
        path: an .npz file, or a folder of .npy files.
        name: of the array.

    Raises:
        DataError: there is none, or it is damaged.
    """
    if path.suffix != ".npz":
        return _load(path / f"{name}.npy")
    arrays = _load_npz(path)
    if name not in arrays:
        raise DataError(f"{path} has no array {name!r}; it has {', '.join(sorted(arrays)) or 'none'}")
    return arrays[name]


def _load(path: Path) -> npt.NDArray[Any]:
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read as an array ({_short(error)}); write it with numpy.save") from error


def _load_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as arrays ({_short(error)}); write it with numpy.savez") from error


def _short(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).split("\n")[0][:120]
