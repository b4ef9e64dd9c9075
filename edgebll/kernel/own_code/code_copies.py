"""Copies of a user's code in the folder of a run: what it was trained with can be read, and put back, when it has changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from edgebll.kernel.own_code.code_origin import CodeOrigin, copy_path
from edgebll.kernel.support.atomic_files import storage_errors

#: The folder of copies in a run folder; larger files are not copied.
COPIES, MAX_COPIED_BYTES = "code", 1 << 20


def copy_code(origins: Iterable[CodeOrigin], run: Path) -> None:
    """Copy the files that are small into a run folder.

    Args:
        origins: where the code is.
        run: the run folder.

    Raises:
        StorageError: the disk refuses.
    """
    for file, sha256 in {item for origin in origins for item in origin.files.items()}:
        target = copy_path(run / COPIES, Path(file), sha256)
        with storage_errors(target):
            if Path(file).stat().st_size <= MAX_COPIED_BYTES:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
