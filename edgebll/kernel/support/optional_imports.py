"""Importing optional packages: a missing one is an error that names what to install."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

from edgebll.kernel.errors import MissingExtraError


def import_extra(module: str, extra: str, purpose: str) -> ModuleType:
    """Import `module`, which the extra `extra` of edgebll brings.

    Args:
        module: dotted name.
        extra: as in `pip install edgebll[EXTRA]`.
        purpose: what needs it, as the start of a sentence, e.g. "drawing curves".

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = (error.name or module).partition(".")[0]
        raise MissingExtraError(f"{purpose} needs {missing}, which is not installed: pip install 'edgebll[{extra}]'") from error


def import_torch(extra: str, purpose: str) -> ModuleType:
    """Import torch, which `extra` of edgebll brings, so that its threads share the processors with others.

    Raises:
        MissingExtraError: it is not installed.
    """
    # By default OpenMP's threads wait by spinning: beside other programs a step of a small network then took 15 times as long
    # (two threads on two busy cores). Sleeping costs next to nothing where the machine is free. Read when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return import_extra("torch", extra, purpose)


def import_exporter(purpose: str) -> None:
    """Import all that exporting needs; `purpose` is the sentence's subject.

    Raises:
        MissingExtraError: something of it is not installed.
    """
    import_torch("export", purpose)
    for module in ("onnx", "onnxruntime"):
        import_extra(module, "export", purpose)
