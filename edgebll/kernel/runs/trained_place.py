"""Where the weights of a trained network lie: in a bundle, alone or of a run over boards, or in a run of the trainer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebll.kernel.bundle import MANIFEST
from edgebll.kernel.errors import BundleError
from edgebll.kernel.runs.run_lock import CONFIG
from edgebll.kernel.runs.run_record import open_run

#: Where a pipelined run keeps the bundle with its final states.
RUN_BUNDLE = "bundle"


@dataclass(frozen=True)
class TrainedPlace:
    """A place of trained weights.

    Attributes:
        path: what was given.
        bundle: the folder of the bundle; None for a run of the trainer.
        data: the data set that the run says; None where it says none, as a bundle alone.
        data_options: how own data were prepared, as the run says; empty where it says nothing.
        summary: of a run; empty for a bundle alone.
    """

    path: Path
    bundle: Path | None
    data: str | None
    data_options: dict[str, Any]
    summary: dict[str, Any]


def find_trained(path: Path) -> TrainedPlace:
    """Find out what lies at a path.

    Args:
        path: a run folder of `edgebll train`, `simulate` or `run`, or a bundle.

    Raises:
        BundleError: it is neither a run nor a bundle, or the run is not whole.
    """
    if (path / MANIFEST).is_file():
        return TrainedPlace(path, path, None, {}, {})
    if not (path / CONFIG).is_file():
        raise BundleError(
            f"{path} is neither a run nor a bundle; give a folder of `edgebll train`, `simulate`, `run` or `export`"
        )
    config, summary = open_run(path)
    data, options = config.get("data"), config.get("data_options")
    told = (data if isinstance(data, str) else None, options if isinstance(options, dict) else {})
    if config.get("kind") == "train":
        return TrainedPlace(path, None, *told, summary)
    if not (path / RUN_BUNDLE / MANIFEST).is_file():
        raise BundleError(f"{path} has no {RUN_BUNDLE}/ with final states; run it again")
    return TrainedPlace(path, path / RUN_BUNDLE, *told, summary)
