"""Data that lie in the folder of the run they were given to, by a name that holds wherever that folder is moved to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgebll.kernel.errors import ConfigError

#: Where a run keeps the samples that a program gave it, in its folder, and what its files call that.
RUN_DATA = "data"
_KEPT = f"./{RUN_DATA}"


def kept_name(run: Path) -> str:
    """The name of data that a run keeps in its folder, from where that is now.

    Args:
        run: the folder.
    """
    return str(run.absolute() / RUN_DATA)


def check_outside(data: str, run: Path) -> None:
    """Refuse data that lie in the folder of a run that is to begin there: with an earlier run, they would be removed.

    Args:
        data: their name or path.
        run: the folder.

    Raises:
        ConfigError: they do.
    """
    if Path(data).is_relative_to(run.absolute()):
        raise ConfigError(
            f"the data {data} lie in {run}, where the run is to begin; choose another folder for it, or move them"
        )


def as_written(document: Mapping[str, Any], run: Path) -> dict[str, Any]:
    """What goes to a file of a run: kept data by their place in the folder.

    Args:
        document: content of run.json or summary.json.
        run: the folder.
    """
    return {**document, "data": _KEPT} if document.get("data") == kept_name(run) else dict(document)


def as_read(document: Mapping[str, Any], run: Path) -> dict[str, Any]:
    """What a file of a run says, with the place where kept data are now.

    Args:
        document: content of run.json or summary.json; runs of before have the path where their folder was.
        run: the folder.
    """
    data = document.get("data")
    was_path = isinstance(data, str) and os.path.isabs(data) and Path(data).name == RUN_DATA and (run / RUN_DATA).is_dir()
    return {**document, "data": kept_name(run)} if data == _KEPT or was_path else dict(document)
