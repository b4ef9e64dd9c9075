"""What a whole run leaves in its folder: the final bundle, the timeline, the pictures and, last, the summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgebll.data import Dataset
from edgebll.data.bundle_spikes import draw_spikes_of_bundle
from edgebll.data.run_operations import not_counted, operations_of_bundle
from edgebll.kernel.bundle import Bundle, open_bundle, write_updated
from edgebll.kernel.errors import BundleError, MissingExtraError, StorageError
from edgebll.kernel.plots import draw_curves
from edgebll.kernel.plots.timeline import draw_timeline
from edgebll.kernel.state.block_state import State, state_sha256
from edgebll_firmware_host.final_states import forget_final_states, save_final_states
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run_files.cost_account import TOTALS
from edgebll_firmware_host.run_files.kept_bundle import forget_bundle
from edgebll_firmware_host.run_files.timeline_spans import write_timeline

#: Where a run keeps the bundle with its final states, which can be evaluated and run again.
FINAL_BUNDLE = "bundle"


def finish_run(
    bundles: Sequence[Bundle],
    recorder: Recorder,
    states: Mapping[str, State],
    seconds: float,
    facts: Mapping[str, Any],
    test: Dataset | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Write everything a whole run leaves: the final states first, summary.json, which makes it whole, last.

    Args:
        bundles: what the run started from, as it was kept and where it came from.
        recorder: what was learned on the way.
        states: block -> final state.
        seconds: duration of the stream in this process.
        facts: entries added to the summary.
        test: what was evaluated on, of which samples are shown; None for no more pictures than those of the stream.

    Returns:
        The summary, and notes for the user, e.g. why there are no pictures.

    Raises:
        StorageError: the disk refuses; the run is then not whole. BundleError: nothing is left of its bundle. Either says
            where the final states are.
    """
    folder, origin = recorder.folder, bundles[-1]
    folder.attend()
    final = save_final_states(folder.path, states)
    _write_bundle(bundles, states, folder.path, final)
    cost = recorder.account.end(seconds)
    write_timeline(folder.path, cost.spans)
    folder.sync()
    samples = recorder.steps * recorder.batch_size
    summary = {
        "status": "complete",
        "state_sha256": state_sha256(states),
        "accuracy": recorder.accuracy,
        "loss": recorder.loss,
        "metrics": recorder.metrics,
        "task": recorder.task.name,
        "steps": recorder.steps,
        "samples_per_second": samples / cost.seconds if cost.seconds > 0 else 0.0,
        **cost.facts(recorder.blocks),
        "bundle": str(origin.path),
        "manifest_sha256": origin.manifest_sha256,
        **facts,
    }
    notes = _draw(folder.path, test)
    if test is not None:
        try:
            summary |= operations_of_bundle(open_bundle(folder.path / FINAL_BUNDLE, verify=False), test)
        except Exception as error:  # the run is whole without them
            notes.append(not_counted(error))
    if cost.from_step:
        notes.append(
            f"{TOTALS} was lost: busy_fraction, bytes, recoveries and the timeline cover the run from step {cost.from_step} on"
        )
    folder.finish(summary)
    forget_final_states(folder.path)
    forget_bundle(folder.path)
    return summary, notes


def _write_bundle(bundles: Sequence[Bundle], states: Mapping[str, State], run: Path, final: Path) -> None:
    """The final bundle, from the first of these that is still whole."""
    for number, bundle in enumerate(bundles, start=1):
        try:
            return write_updated(bundle, states, run / FINAL_BUNDLE, {"run": run.name})
        except StorageError as error:
            raise StorageError(f"{error}; the final states are in {final}") from error
        except BundleError as error:
            if number == len(bundles):
                raise BundleError(f"{error}; the final states are in {final}") from error
    return None


def _draw(run: Path, test: Dataset | None) -> list[str]:
    """Draw the pictures; what is missing for them is no reason to lose a run."""
    notes = []

    def draw_spikes(run: Path) -> None:
        if test is not None:
            draw_spikes_of_bundle(run, open_bundle(run / FINAL_BUNDLE, verify=False), test)

    for draw in (draw_curves, draw_timeline, draw_spikes):
        try:
            draw(run)
        except (MissingExtraError, BundleError) as error:
            notes.append(str(error))
        except Exception as error:
            notes.append(f"{draw.__name__} failed, so a picture is missing ({type(error).__name__}: {error})")
    return list(dict.fromkeys(notes))
