"""What a whole run leaves in its folder: the final bundle, the timeline, the pictures and, last, the summary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgebll.bundle import MANIFEST, Bundle, write_updated
from edgebll.errors import BundleError, MissingExtraError
from edgebll.files import sha256_file
from edgebll.plots import draw_curves
from edgebll.plots.timeline import draw_timeline
from edgebll.state import State, state_sha256
from edgebll_firmware_host.account import TOTALS
from edgebll_firmware_host.recorder import Recorder
from edgebll_firmware_host.spans import write_timeline

#: Where a run keeps the bundle with its final states, which can be evaluated and run again.
FINAL_BUNDLE = "bundle"


def finish_run(
    bundle: Bundle, recorder: Recorder, states: Mapping[str, State], seconds: float, facts: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Write everything a whole run leaves; summary.json comes last and makes it whole.

    Args:
        bundle: what the run started from. recorder: what was learned on the way. states: block -> final state.
        seconds: duration of the stream in this process. facts: entries added to the summary.

    Returns:
        The summary, and notes for the user, e.g. why there are no pictures.

    Raises:
        StorageError: the disk refuses; the run is then not whole.
    """
    folder = recorder.folder
    write_updated(bundle, states, folder.path / FINAL_BUNDLE, {"run": folder.path.name})
    cost = recorder.account.end(seconds)
    write_timeline(folder.path, cost.spans)
    folder.sync()
    samples = recorder.steps * recorder.batch_size
    summary = {
        "status": "complete",
        "state_sha256": state_sha256(states),
        "accuracy": recorder.accuracy,
        "loss": recorder.loss,
        "steps": recorder.steps,
        "samples_per_second": samples / cost.seconds if cost.seconds > 0 else 0.0,
        **cost.facts(recorder.blocks),
        "bundle": str(bundle.path),
        "manifest_sha256": sha256_file(bundle.path / MANIFEST),
        **facts,
    }
    notes = _draw(folder.path)
    if cost.from_step:
        notes.append(
            f"{TOTALS} was lost: busy_fraction, bytes, recoveries and the timeline cover the run from step {cost.from_step} on"
        )
    folder.finish(summary)
    return summary, notes


def _draw(run: Path) -> list[str]:
    """Draw the pictures; what is missing for them is no reason to lose a run."""
    notes = []
    for draw in (draw_curves, draw_timeline):
        try:
            draw(run)
        except (MissingExtraError, BundleError) as error:
            notes.append(str(error))
        except Exception as error:
            notes.append(f"{draw.__name__} failed, so a picture is missing ({type(error).__name__}: {error})")
    return list(dict.fromkeys(notes))
