"""The folder of a bundle that is being written: it appears whole, in the place of an earlier one."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from edgebll.kernel.errors import StorageError
from edgebll.kernel.support.atomic_files import check_parents, storage_errors
from edgebll.kernel.support.scratch_files import EARLIER, scratch_folder, sweep

MANIFEST = "manifest.json"
#: What a rename says of a folder, or a link to one, that has the name.
_IN_THE_WAY = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


@contextlib.contextmanager
def bundle_writer(path: Path | str) -> Iterator[Path]:
    """Give a scratch folder to fill (end with `write_manifest`); on success it becomes `path`, on failure it is removed.

    Raises:
        StorageError: `path` exists and is not an earlier bundle, or nothing can be written there.
    """
    target = Path(path)
    check_parents(target)
    with contextlib.ExitStack() as stack:
        with storage_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            check_bundle_place(target)
            sweep(target.parent, target.name, earlier=False)
            scratch = stack.enter_context(scratch_folder(target.parent, target.name))
        yield scratch
        with storage_errors(target):
            _replace_folder(scratch, target)
        sweep(target.parent, target.name)


def check_bundle_place(target: Path) -> None:
    """Raise StorageError unless a bundle may be written at `target`: there is none or nothing, and a folder to make it in."""
    if _holds_other(target) and _holds_other(target):  # at the second look nobody is just replacing it
        raise StorageError(f"{target} exists and is not a bundle; choose another folder or remove it")
    check_parents(target)


def _holds_other(target: Path) -> bool:
    """Whether there is something that is no bundle."""
    try:
        names = os.listdir(target)
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        return True
    return bool(names) and MANIFEST not in names


def _replace_folder(scratch: Path, target: Path) -> None:
    """Put `scratch` in the place of `target`; whenever this is interrupted, one of the two is whole.

    Another process may do the same: the last one's is there in the end.
    """
    earlier = scratch.with_suffix(EARLIER)
    try:
        while not _renamed(scratch, target):
            _remove(earlier)
            with contextlib.suppress(FileNotFoundError):
                os.replace(target, earlier)
    except BaseException:
        if not target.exists() and earlier.exists():
            os.replace(earlier, target)
        raise
    _remove(earlier)


def _renamed(scratch: Path, target: Path) -> bool:
    """Rename, unless something is in the way."""
    try:
        os.replace(scratch, target)
    except OSError as error:
        if error.errno not in _IN_THE_WAY:
            raise
        return False
    return True


def _remove(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)
