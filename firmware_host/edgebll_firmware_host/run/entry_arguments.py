"""Arguments of `simulate` and `run` as a spec has them, and which of them a run that is resumed may have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from edgebll.data import LiveSource
from edgebll.data.own.given_samples import is_name
from edgebll.kernel.errors import ConfigError
from edgebll_firmware_host.run.run_spec import RunSpec

Place = str | os.PathLike[str]


def path_text(place: Place | None) -> str | None:
    """A path as a text."""
    return os.fspath(place) if place is not None else None


def data_name(data: Any) -> str | None:
    """The name of data; of samples as they are, what they are, and None for a live source, which a resumed run may have too."""
    if isinstance(data, LiveSource):
        return None
    return path_text(data) if is_name(data) else type(data).__name__


def needed_folder(spec: RunSpec, out: Place | None) -> Path:
    """The run folder; raises ConfigError where it or the bundle is missing, which only a run that is resumed does without."""
    if not spec.bundle or out is None:
        raise ConfigError(f"give the {'bundle to train' if not spec.bundle else 'run folder to write, out'}, or resume a run")
    return Path(out)


def check_only_resume(spec: RunSpec, out: Place | None, overwrite: bool, *others: str) -> None:
    """Raise ConfigError if a run that is resumed is given options of its own: it goes on as it began."""
    given = [*spec.given(), *(["out"] if out is not None else []), *(["overwrite"] if overwrite else [])]
    if stray := [name for name in given if name not in others]:
        raise ConfigError(f"resume goes on with the run as it began; leave out {stray[0]}")
