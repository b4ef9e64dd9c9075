"""Importing optional packages: a missing one is an error that names what to install."""

from __future__ import annotations

import importlib
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
