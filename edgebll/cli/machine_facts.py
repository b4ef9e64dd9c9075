"""This machine: its processors, how torch uses them, and its folders."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

from edgebll.kernel.limits import usable_cores
from edgebll.kernel.support.optional_imports import import_extra


def default_threads() -> int:
    """The usable processors, or as many as OMP_NUM_THREADS allows: the limit of PyTorch and of ONNX Runtime alike."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return min(usable_cores(), int(limit)) if limit.isdigit() and int(limit) else usable_cores()


def import_torch(extra: str, purpose: str) -> ModuleType:
    """Import torch, which `extra` of edgebll brings, so that its threads share the processors with others.

    Raises:
        MissingExtraError: it is not installed.
    """
    # By default OpenMP's threads wait by spinning: beside other programs a step of a small network then took 15 times as long
    # (two threads on two busy cores). Sleeping costs next to nothing where the machine is free. Read when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return import_extra("torch", extra, purpose)


def existing_parent(path: Path) -> Path:
    """`path`, or the nearest folder above it that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
