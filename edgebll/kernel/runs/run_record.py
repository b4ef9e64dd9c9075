"""What run.json and summary.json of a run folder hold."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgebll.kernel.errors import BundleError
from edgebll.kernel.runs.kept_data import as_read, as_written
from edgebll.kernel.runs.run_lock import CONFIG, SUMMARY
from edgebll.kernel.support.atomic_files import write_json


def read_config(path: Path | str) -> dict[str, Any]:
    """What run.json holds, of a whole or an unfinished run.

    Raises:
        BundleError: `path` is not a run folder, or run.json is damaged.
    """
    found = read_json(Path(path), CONFIG, "is not a run folder; make one with `edgebll train`, `simulate` or `run`")
    return as_read(found, Path(path))


def open_run(path: Path | str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Configuration and summary of a whole run.

    Raises:
        BundleError: not a run folder, damaged, or the run did not finish.
    """
    config = read_config(path)
    summary = read_json(Path(path), SUMMARY, "holds a run that did not finish; finish it with --resume or run it again")
    return config, as_read(summary, Path(path))


def write_record(path: Path, name: str, document: Mapping[str, Any]) -> None:
    """Write a file of a run folder that `read_config` or `open_run` reads.

    Args:
        path: the folder.
        name: CONFIG or SUMMARY.
        document: its content.

    Raises:
        StorageError: the disk refuses.
    """
    write_json(path / name, as_written(document, path))


def read_json(folder: Path, name: str, absent: str) -> dict[str, Any]:
    """A file of a run folder; `absent` says what is wrong with a folder without it.

    Raises:
        BundleError: it is not there, or damaged.
    """
    try:
        value = json.loads((folder / name).read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BundleError(f"{folder} {absent}") from error
    except OSError as error:
        raise BundleError(f"{folder / name} cannot be read ({error.strerror}); run it again") from error
    except ValueError as error:
        raise BundleError(f"{folder / name} is not JSON ({error}); run it again") from error
    if not isinstance(value, dict):
        raise BundleError(f"{folder / name} must hold a JSON object; run it again")
    return value


def finite(value: Any) -> Any:
    """Plain values with every number that is not finite replaced by None: JSON has none of those."""
    if isinstance(value, Mapping):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
