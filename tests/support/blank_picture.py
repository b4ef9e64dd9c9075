"""Pictures of runs without what is drawn in them, which takes longer than a short run."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgebll.kernel.plots import curves, timeline
from edgebll.kernel.plots.style import save_figure
from edgebll.kernel.support.atomic_files import write_atomic

#: A PNG of one pixel.
BLANK = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg==")


def leave_blank(patch: pytest.MonkeyPatch) -> None:
    """Let curves and timelines be read as ever, and be written as a picture of nothing."""
    _drawing(patch, _save_blank)


def draw(patch: pytest.MonkeyPatch) -> None:
    """Let them be drawn again."""
    _drawing(patch, save_figure)


def _drawing(patch: pytest.MonkeyPatch, save: Callable[..., Path]) -> None:
    for module in (curves, timeline):
        patch.setattr(module, "save_figure", save)


def _save_blank(path: Path, draw: Callable[[Any], None], size_inches: tuple[float, float]) -> Path:
    write_atomic(path, BLANK)
    return path
