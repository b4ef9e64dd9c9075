"""Calibrating a cluster: every board's steps, one board after another, and every link, into calibration.toml."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.version import __version__
from edgebll_firmware_host.calibration.link_timing import time_links
from edgebll_firmware_host.calibration.step_timing import TIMED, BoardTimes, time_steps
from edgebll_firmware_host.inventory import BoardEntry, Cluster
from edgebll_firmware_host.policy.calibration import BoardMeasured, Calibration, RateMeasured, StepMeasured
from edgebll_firmware_host.policy.workload import Workload

#: Precision of the training steps that are timed.
FLOAT32 = "float32"


def calibrate(
    cluster: Cluster,
    bundle: Bundle,
    *,
    conditions: str = "",
    timed: int = TIMED,
    links: bool = True,
    tell: Callable[[str], None] = lambda text: None,
) -> Calibration:
    """Measure all boards of a cluster, none of which does anything else meanwhile.

    Boards are measured one after another, so that those of one machine do not take each other's processors.

    Args:
        cluster: the inventory.
        bundle: whose steps are timed.
        conditions: in words, kept with the numbers.
        timed: training steps of each block that count.
        links: whether the links are measured.
        tell: takes a sentence when a board's turn comes.

    Raises:
        LinkError: a board does not answer, works for another host, or does not reach another one. BoardError: it failed.
    """
    boards, steps, rates, work = [], [], [], Workload.of(bundle, cluster.host.window)
    for entry in cluster.boards:
        tell(f"timing {len(bundle.manifest.blocks)} blocks on board {entry.name}")
        times = time_steps(bundle, entry, cluster.keys, cluster.host.deadline_s, timed=timed)
        boards.append(BoardMeasured(entry.name, power_mode=entry.power_mode, message_s=times.overhead_s))
        steps += _steps(entry, bundle, times)
        rates += _rates(entry, work, times)
    if links:
        tell(f"timing {len(cluster.boards) ** 2} links")
    return Calibration(
        datetime.now(timezone.utc).isoformat(timespec="seconds"),
        conditions,
        __version__,
        tuple(boards),
        tuple(rates),
        step=tuple(steps),
        link=tuple(time_links(cluster)) if links else (),
    )


def _steps(entry: BoardEntry, bundle: Bundle, times: BoardTimes) -> list[StepMeasured]:
    how = (entry.runtime, entry.threads)
    return [
        StepMeasured(entry.name, bundle.manifest_sha256, each.block, *how, each.median_s, each.spread) for each in times.blocks
    ]


def _rates(entry: BoardEntry, work: Workload, times: BoardTimes) -> list[RateMeasured]:
    """What all blocks together reached in arithmetic, and the one that moved most bytes a second; nothing of older bundles."""
    if work.flops is None:
        return []
    seconds = [each.median_s for each in times.blocks]
    moved = max(size / each for size, each in zip(work.touched_bytes, seconds, strict=True))
    reached = sum(work.flops) / sum(seconds)
    return [RateMeasured(entry.name, entry.runtime, FLOAT32, entry.threads, reached / 1e9, moved / 1e9)]


def merged(old: Calibration | None, new: Calibration) -> Calibration:
    """The new numbers, and those of the old that were not measured again: of other bundles, boards or links, and watts.

    Args:
        old: what was measured before; None for nothing.
        new: what was measured now; its date, conditions and release are those of the whole.
    """
    if old is None:
        return new
    again = {one.name for one in new.board}
    before = {one.name: one for one in old.board}
    steps = {(one.board, one.bundle, one.block, one.runtime, one.threads) for one in new.step}
    rates = {(one.board, one.runtime, one.precision, one.threads) for one in new.rate}
    links = {(one.sender, one.receiver) for one in new.link}
    return replace(
        new,
        board=(
            *(one for one in old.board if one.name not in again),
            *(_with_the_old(one, before.get(one.name)) for one in new.board),
        ),
        rate=(*(one for one in old.rate if (one.board, one.runtime, one.precision, one.threads) not in rates), *new.rate),
        step=(
            *(one for one in old.step if (one.board, one.bundle, one.block, one.runtime, one.threads) not in steps),
            *new.step,
        ),
        link=(*(one for one in old.link if (one.sender, one.receiver) not in links), *new.link),
    )


def _with_the_old(new: BoardMeasured, old: BoardMeasured | None) -> BoardMeasured:
    """What calibrating does not measure, such as watts, stays as somebody wrote it, in the same power mode."""
    if old is None or old.power_mode != new.power_mode:
        return new
    return replace(old, message_s=new.message_s)
