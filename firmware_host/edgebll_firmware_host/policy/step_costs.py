"""A cost model from what is known: calibration before profiles, profiles before one machine's times, those before mere weights.

A step's time by a rate is that of a roofline: the longer of its arithmetic and its memory traffic, and the board's overhead. A
board of which nothing is known in a cluster where others are known is taken to be like the median of those.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgebll.kernel.spec.board_speeds import GPU_RUNTIMES, speeds_of
from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.link_entry import ANY, LinkEntry
from edgebll_firmware_host.policy.calibration import BoardMeasured, Calibration
from edgebll_firmware_host.policy.cost_model import (
    ASSUMED,
    CALIBRATED,
    PROFILED,
    QUICK,
    RATED,
    TIMED,
    BoardPower,
    CostModel,
    LinkCost,
    MessageCost,
    StepTime,
)
from edgebll_firmware_host.policy.workload import Workload

#: From step to step where it was not measured, relative: of an idle board.
_SPREAD = 0.02
_GIGA = 1e9
_FLOAT32 = "float32"
#: Of a board's memory; the rest is the system's.
_FOR_BLOCKS = 0.75


def make_cost_model(
    work: Workload,
    boards: Sequence[BoardEntry],
    links: Sequence[LinkEntry] = (),
    calibration: Calibration | None = None,
    any_link: LinkCost = QUICK,
) -> CostModel:
    """Costs of a bundle on the boards of an inventory.

    Args:
        work: what the bundle asks.
        boards: all that may be used.
        links: what the inventory tells of links.
        calibration: what was measured; None for nothing.
        any_link: between machines of which nothing else is told.

    Raises:
        ConfigError: a profile that is unknown or has no number for the board's runtime.
    """
    sources = [_Source.of(work, board, calibration) for board in boards]
    steps, basis, in_seconds = _steps(work, boards, sources)
    measured = _boards_measured(calibration)
    return CostModel(
        work=work,
        steps=steps,
        in_seconds=in_seconds,
        basis=basis,
        links=_links(links, calibration),
        access=_access(links),
        any_link=any_link,
        messages={
            board.name: MessageCost(found.message_s, found.message_s_per_byte)
            for board in boards
            if (found := measured.get(board.name)) and (found.message_s or found.message_s_per_byte)
        },
        memory_bytes={board.name: size for board in boards if (size := _memory(board))},
        power={board.name: power for board in boards if (power := _power(board, measured.get(board.name)))},
    )


@dataclass(frozen=True)
class _Source:
    """Times of the blocks' steps on a board and where they are from; and GFLOP/s by its profile, to compare it with others."""

    basis: str
    steps: tuple[StepTime, ...] | None = None
    gflops: float = 0.0

    @classmethod
    def of(cls, work: Workload, board: BoardEntry, calibration: Calibration | None) -> _Source:
        gflops, bytes_per_s = _profile_rate(board) if board.profile else (0.0, 0.0)
        if calibration is not None and _in_the_mode_of(board, calibration):
            timed = _timed_there(work, board, calibration)
            if timed is not None:
                return cls(CALIBRATED, timed, gflops)
            rated = _rated(work, board, calibration)
            if rated is not None:
                return cls(RATED, rated, gflops)
        if board.profile:
            return cls(PROFILED, _roofline(work, gflops, bytes_per_s, 0.0), gflops)
        if work.seconds is not None:
            return cls(TIMED, tuple(StepTime(each / board.speed, _SPREAD) for each in work.seconds))
        return cls(ASSUMED)


def _in_the_mode_of(board: BoardEntry, calibration: Calibration) -> bool:
    """Whether a board is to be in the power mode that it was calibrated in."""
    measured = _boards_measured(calibration).get(board.name)
    return measured is None or measured.power_mode == board.power_mode


def _timed_there(work: Workload, board: BoardEntry, calibration: Calibration) -> tuple[StepTime, ...] | None:
    how = (board.name, work.digest, board.runtime, board.threads)
    found = {
        one.block: StepTime(one.seconds, one.spread)
        for one in calibration.step
        if (one.board, one.bundle, one.runtime, one.threads) == how
    }
    return tuple(found[block] for block in work.blocks) if found.keys() >= set(work.blocks) else None


def _rated(work: Workload, board: BoardEntry, calibration: Calibration) -> tuple[StepTime, ...] | None:
    """By the rate of the board's runtime and threads; of another number of threads, by what is nearest, in proportion."""
    rates = [
        one for one in calibration.rate if (one.board, one.runtime, one.precision) == (board.name, board.runtime, _FLOAT32)
    ]
    if not rates:
        return None
    rate = min(rates, key=lambda one: abs(one.threads - board.threads))
    scale = board.threads / rate.threads
    measured = _boards_measured(calibration).get(board.name)
    overhead = measured.step_overhead_s if measured is not None else 0.0
    return _roofline(work, rate.gflops * scale, rate.gigabytes_per_second * _GIGA, overhead)


def _profile_rate(board: BoardEntry) -> tuple[float, float]:
    """GFLOP/s that training steps reach on a board, and bytes a second."""
    speeds = speeds_of(board.profile)
    rate, mode = speeds.rate_of(board.runtime), speeds.in_mode(board.power_mode)
    share = 1.0 if board.runtime in GPU_RUNTIMES or not rate.cores else min(1.0, board.threads / rate.cores)
    speed = mode.speed * board.speed
    return rate.gflops * rate.reached * share * speed, speeds.gigabytes_per_second * _GIGA * speed


def _roofline(work: Workload, gflops: float, bytes_per_s: float, overhead_s: float) -> tuple[StepTime, ...] | None:
    """None where the bundle does not tell its arithmetic."""
    if work.flops is None:
        return None
    pairs = zip(work.flops, work.touched_bytes, strict=True)
    return tuple(StepTime(max(flops / (gflops * _GIGA), size / bytes_per_s) + overhead_s, _SPREAD) for flops, size in pairs)


def _steps(
    work: Workload, boards: Sequence[BoardEntry], sources: Sequence[_Source]
) -> tuple[dict[str, tuple[StepTime, ...]], dict[str, str], bool]:
    known = [source.steps for source in sources if source.steps is not None]
    like, from_where = tuple(StepTime(weight, _SPREAD) for weight in work.weights), list(sources)
    if known:
        medians = (statistics.median(steps[index].seconds for steps in known) for index in range(len(work.blocks)))
        like, from_where = tuple(StepTime(each, _SPREAD) for each in medians), [one for one in sources if one.steps]
    profiled = [source.gflops for source in from_where if source.gflops]
    usual = statistics.median(profiled) if profiled else 0.0
    steps, basis = {}, {}
    for board, source in zip(boards, sources, strict=True):
        by_profile = source.gflops if usual else 0.0
        times = by_profile / usual if by_profile else board.speed
        steps[board.name] = source.steps or _faster(like, times)
        basis[board.name] = source.basis if source.steps or by_profile or not known else ASSUMED
    return steps, basis, bool(known)


def _faster(steps: tuple[StepTime, ...], times: float) -> tuple[StepTime, ...]:
    return steps if times == 1.0 else tuple(StepTime(each.seconds / times, each.spread) for each in steps)


def _links(links: Sequence[LinkEntry], calibration: Calibration | None) -> dict[tuple[str, str], LinkCost]:
    """What was measured counts before what the inventory says."""
    found = {}
    for link in links:
        if ANY not in link.between:
            one, other = link.between
            found[one, other] = found[other, one] = LinkCost(link.latency_s, link.bytes_per_s)
    for measured in calibration.link if calibration is not None else ():
        ends = (measured.sender, measured.receiver)
        found[ends] = LinkCost(measured.latency_s, measured.bytes_per_s, measured.jitter_s, measured.loss)
    return found


def _access(links: Sequence[LinkEntry]) -> dict[str, LinkCost]:
    return {link.between[0]: LinkCost(link.latency_s, link.bytes_per_s) for link in links if ANY in link.between}


def _boards_measured(calibration: Calibration | None) -> Mapping[str, BoardMeasured]:
    return {one.name: one for one in calibration.board} if calibration is not None else {}


def _memory(board: BoardEntry) -> int:
    if board.memory_mib is not None:
        return board.memory_mib << 20
    return int(_FOR_BLOCKS * speeds_of(board.profile).memory_mib * (1 << 20)) if board.profile else 0


def _power(board: BoardEntry, measured: BoardMeasured | None) -> BoardPower | None:
    there = measured is not None and measured.power_mode == board.power_mode
    if there and measured is not None and measured.idle_watts is not None and measured.busy_watts is not None:
        return BoardPower(measured.idle_watts, measured.busy_watts - measured.idle_watts, measured=True)
    if not board.profile:
        return None
    mode = speeds_of(board.profile).in_mode(board.power_mode)
    return BoardPower(mode.idle_watts, mode.busy_watts - mode.idle_watts)
