"""metrics.jsonl of a run that begins or goes on: cut to where a snapshot or checkpoint was, and mended where it is damaged."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from edgebll.kernel.support.atomic_files import storage_errors

METRICS = "metrics.jsonl"


def reopen_metrics(folder: Path, keep_bytes: int | None) -> tuple[BinaryIO, int]:
    """The record of a run, to be appended to.

    Args:
        folder: of the run.
        keep_bytes: what comes after them is forgotten; None keeps all.

    Returns:
        The file, and how many of the `keep_bytes` bytes were not there.

    Raises:
        StorageError: the disk refuses.
    """
    path, lost = folder / METRICS, 0
    with storage_errors(path):
        path.touch()
        if keep_bytes is not None:
            lost = max(0, keep_bytes - path.stat().st_size)
            if lost:
                path.write_bytes(_filled(path.read_bytes(), keep_bytes))
            os.truncate(path, keep_bytes)
        return path.open("a+b"), lost


def _filled(content: bytes, size: int) -> bytes:
    """Lines that are whole, and one that says that others are gone and makes up for their bytes.

    So the sizes that snapshots and checkpoints have noted go on being the ends of lines, however often the run is resumed.
    """
    head, tail = b'{"kind": "lost", "fill": "', b'"}\n'
    whole = content.rfind(b"\n") + 1
    while whole and size - whole < len(head) + len(tail):
        whole = content.rfind(b"\n", 0, whole - 1) + 1
    fill = size - whole - len(head) - len(tail)
    return content[:whole] + (head + b"." * fill + tail if fill >= 0 else b" " * (size - whole - 1) + b"\n")
