"""Data that a Python program gives as they are: written as arrays beside its run, so that a resumed run finds them again."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgebll.data.own.array_files import ArrayOptions, Arrays, pool_of
from edgebll.data.own.label_numbers import likely_blank
from edgebll.data.own.live_reading import attached
from edgebll.data.own.live_source import LiveSource
from edgebll.data.own.python_samples import gathered
from edgebll.kernel.errors import DataError
from edgebll.kernel.runs.kept_data import RUN_DATA
from edgebll.kernel.support.atomic_files import check_parents, storage_errors, sync_folder
from edgebll.kernel.support.scratch_files import scratch_folder, sweep


def is_name(data: Any) -> bool:
    """Whether data are given by a name or a path, not as they are."""
    return data is None or isinstance(data, str | os.PathLike)


@contextlib.contextmanager
def live(data: Any) -> Iterator[None]:
    """Let a live source be read within the context, where its record is; nothing for other data."""
    with attached(data) if isinstance(data, LiveSource) else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def named_data(data: Any, run: Path | None) -> Iterator[tuple[str | None, Path | None]]:
    """A name for data given in any way, and the folder of those that a run is to keep; arguments as `samples_on_disk`."""
    if is_name(data):
        yield None if data is None else os.fspath(data), None
        return
    if isinstance(data, LiveSource):
        with attached(data) as name:
            yield name, None
        return
    with samples_on_disk(data, run) as folder:
        yield str(folder), folder


@contextlib.contextmanager
def samples_on_disk(data: Any, run: Path | None) -> Iterator[Path]:
    """Samples and labels as a folder of arrays, which is removed at the end unless it was given its place by `keep_samples`.

    Args:
        data: anything that `python_samples.gathered` takes.
        run: the run folder that they are to be kept in; None for a temporary folder.

    Raises:
        DataError: they are no samples. StorageError: the disk refuses.
    """
    what = f"the {type(data).__name__} given as data"
    arrays = gathered(data, what)
    # Refuses what is none before anything is written; what stands for no label is known with the run's task only.
    pool_of(what, arrays, ArrayOptions(ignore_index=_likely_blank(arrays)))
    with contextlib.ExitStack() as stack:
        if run is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgebll-")))
        else:
            check_parents(run)
            with storage_errors(run):
                run.parent.mkdir(parents=True, exist_ok=True)
                sweep(run.parent, run.name)
                folder = stack.enter_context(scratch_folder(run.parent, run.name))
        with storage_errors(folder):
            for name, array in arrays.items():
                np.save(
                    folder / f"{name}.npy", array.astype(np.float32) if array.dtype.kind == "f" else array, allow_pickle=False
                )
        try:
            yield folder
        except DataError as error:  # tells of the samples as the user knows them
            raise DataError(str(error).replace(str(folder), what)) from error


def _likely_blank(arrays: Arrays) -> int | None:
    found = [likely_blank(array) for name, array in arrays.items() if name.startswith("y")]
    return next((blank for blank in found if blank is not None), None)


def keep_samples(folder: Path, run: Path) -> None:
    """Give a folder of `samples_on_disk` its place in the run folder, which exists.

    Raises:
        StorageError: the disk refuses.
    """
    with storage_errors(run / RUN_DATA):
        os.rename(folder, run / RUN_DATA)
    sync_folder(run)
