"""`edgebll simulate --virtual` as a function: it computes nothing but times, and leaves a folder with timeline and summary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from edgebll.kernel.errors import BundleError, MissingExtraError
from edgebll.kernel.plots.timeline import draw_timeline
from edgebll.kernel.runs.listener import Listener
from edgebll.kernel.runs.run_folder import RunFolder
from edgebll.kernel.support import bounds
from edgebll.kernel.support.plain_dataclasses import to_plain
from edgebll_firmware_host.run_files.timeline_spans import write_timeline
from edgebll_firmware_host.simulation.virtual_job import VirtualOutcome
from edgebll_firmware_host.simulation.virtual_launch import VirtualLaunch, VirtualSpec, make_launch
from edgebll_firmware_host.simulation.virtual_result import facts, over_seeds
from edgebll_firmware_host.simulation.virtual_run import VirtualRun

#: What run.json says of the kind of run: no other command takes it for a run with weights.
KIND = "virtual"


def simulate_virtually(
    spec: VirtualSpec, out: Path | None, listener: Listener, *, seeds: int = 1, overwrite: bool = False
) -> dict[str, Any]:
    """Predict a run of a bundle over boards, in virtual time.

    Args:
        spec: what.
        out: the folder for timeline and summary, of the first seed; None for none.
        listener: is told what the user should know.
        seeds: how many, from the spec's on.
        overwrite: replace a run that is already at `out`.

    Returns:
        The summary of the first seed; with several, their spread is in it as "seeds".

    Raises:
        ConfigError, BundleError, DataError: as `make_launch`. StorageError: there is a run at `out`, or the disk refuses.
    """
    bounds.SEEDS.check("seeds", seeds)
    launch = make_launch(spec)
    if out is None:
        return _run(launch, seeds)[0]
    with RunFolder.create(out, {"kind": KIND, **to_plain(spec)}, overwrite=overwrite) as folder:
        summary, outcome = _run(launch, seeds)
        write_timeline(folder.path, outcome.record.spans)
        try:
            if outcome.record.spans:
                draw_timeline(folder.path)
        except (MissingExtraError, BundleError) as error:
            listener.noted(str(error))
        folder.finish(summary)
    return summary


def _run(launch: VirtualLaunch, seeds: int) -> tuple[dict[str, Any], VirtualOutcome]:
    """The summary, and the outcome of the first seed."""
    basis = dict(launch.model.basis)
    first = VirtualRun(launch.job).go()
    summaries = [facts(launch.job, first, basis)]
    for more in range(1, seeds):
        job = replace(launch.job, seed=launch.job.seed + more)
        summaries.append(facts(job, VirtualRun(job).go(), basis))
    summary = {"bundle": str(launch.bundle.path), "manifest_sha256": launch.bundle.manifest_sha256, **summaries[0]}
    if seeds > 1:
        summary["seeds"] = over_seeds(summaries)
    return summary, first
