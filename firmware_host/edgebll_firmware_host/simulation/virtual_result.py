"""What a run in virtual time tells: throughput, utilisation, energy, what failures cost, and how that differs over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from edgebll.kernel.comparison.student_t import t_quantile
from edgebll_firmware_host.simulation.virtual_job import VirtualJob, VirtualOutcome

_CONFIDENCE = 0.95
#: Figures whose spread over seeds is told.
SPREAD = ("samples_per_second", "seconds", "joules", "recoveries", "steps_again")


def facts(job: VirtualJob, outcome: VirtualOutcome, basis: dict[str, str]) -> dict[str, Any]:
    """The summary of one run.

    Args:
        job: what ran.
        outcome: what came of it.
        basis: board -> where its times are from, see `policy.cost_model`.
    """
    record, seconds = outcome.record, outcome.end_s
    steps = int(record.steps.min())
    samples = steps * job.manifest.batch_size
    boards = [_board(job, outcome, name, basis) for name in job.costs.boards]
    known = [board["joules"] for board in boards if board["joules"] is not None]
    joules = sum(known) if len(known) == len(boards) else None
    return {
        "status": "given up" if outcome.given_up else "complete",
        "reason": outcome.given_up,
        "virtual": True,
        "estimate": True,
        "seed": job.seed,
        "steps": steps,
        "seconds": seconds,
        "start_seconds": outcome.start_s,
        "samples_per_second": samples / seconds if seconds > 0 else 0.0,
        "window": job.inventory.host.window,
        "boards": boards,
        "busy_fraction": _parts(record.blocks, record.busy_ns.tolist(), seconds),
        "joules": joules,
        "joules_per_sample": joules / samples if joules is not None and samples else None,
        "recoveries": len(outcome.recoveries),
        "failures": [recovery.facts() for recovery in outcome.recoveries],
        "seconds_recovering": sum((one.restore_s or 0.0) + (one.replay_s or 0.0) for one in outcome.recoveries),
        "steps_again": int((record.applied - record.steps).max()),
        "snapshots": len(outcome.snapshots),
        "bytes_shipped": outcome.shipped_bytes,
        "placements": [[at_s, {b: list(each) for b, each in placed.blocks.items()}] for at_s, placed in outcome.placements],
    }


def _board(job: VirtualJob, outcome: VirtualOutcome, name: str, basis: dict[str, str]) -> dict[str, Any]:
    """A board: its blocks at the end, how much of the time it computed, and what it drew."""
    board, seconds = job.costs.board(name), outcome.end_s
    busy_s = outcome.record.board_busy_ns.get(name, 0) / 1e9
    there_s = seconds - outcome.away_s.get(name, 0.0)
    joules = board.idle_w * there_s + (board.busy_w - board.idle_w) * busy_s
    placed = outcome.placements[-1][1].blocks if outcome.placements else {}
    return {
        "board": name,
        "blocks": list(placed.get(name, ())),
        "busy": busy_s / seconds if seconds > 0 else 0.0,
        "joules": joules if board.busy_w > 0 else None,
        "basis": basis.get(name, ""),
    }


def _parts(names: Sequence[str], busy_ns: Sequence[int], seconds: float) -> dict[str, float]:
    return {name: busy / 1e9 / seconds if seconds > 0 else 0.0 for name, busy in zip(names, busy_ns, strict=True)}


def over_seeds(summaries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean, least, most and the half width of the 95 % confidence interval of the mean, by figure.

    Args:
        summaries: of the same run with other seeds, at least two.
    """
    found: dict[str, Any] = {}
    for name in SPREAD:
        values = [float(each[name]) for each in summaries if each[name] is not None]
        if len(values) < 2:
            continue
        half = t_quantile(_CONFIDENCE, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
        found[name] = {"mean": statistics.fmean(values), "least": min(values), "most": max(values), "confidence": half}
    return found
