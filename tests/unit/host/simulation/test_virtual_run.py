"""Failures, returns, joins and drains in virtual time, decided by the policy of real runs."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from support.virtual_networks import cluster, network

from edgebll.kernel.errors import ConfigError
from edgebll_firmware_host.inventory import BoardEntry, Cluster, HostEntry
from edgebll_firmware_host.policy.block_placement import place_among
from edgebll_firmware_host.simulation.block_costs import nanoseconds
from edgebll_firmware_host.simulation.incidents import Incidents, moments, outage
from edgebll_firmware_host.simulation.phantom_stream import PhantomStream
from edgebll_firmware_host.simulation.virtual_cluster import VirtualHost, VirtualLink
from edgebll_firmware_host.simulation.virtual_job import VirtualJob, VirtualOutcome
from edgebll_firmware_host.simulation.virtual_run import VirtualRun


def job(blocks: int = 4, boards: int = 3, steps: int = 2000, **more: Any) -> VirtualJob:
    """Steps of 10 ms a block, a snapshot every 2 s."""
    manifest = network(blocks)
    described = cluster(manifest, boards, link=VirtualLink(0.002, 1e6), host=VirtualHost(1e-4), spread=0.1, load_s=0.1)
    names = [block.name for block in manifest.blocks]
    entries = tuple(BoardEntry(name, f"tcp://127.0.0.1:{number + 1}") for number, name in enumerate(described.boards))
    return VirtualJob(
        manifest,
        Cluster(entries, HostEntry(deadline_s=5.0, patience_s=100.0)),
        described,
        lambda usable, there: place_among(names, [1.0] * blocks, usable, there),
        PhantomStream("block0", steps),
        snapshot_seconds=2.0,
        **more,
    )


def outcome(**more: Any) -> VirtualOutcome:
    return VirtualRun(job(**more)).go()


def hosts(found: VirtualOutcome) -> list[set[str]]:
    """Boards with blocks, incarnation by incarnation."""
    return [set(placement.blocks) for _, placement in found.placements]


def test_an_undisturbed_run_is_one_incarnation() -> None:
    found = outcome()
    assert (found.given_up, found.recoveries, hosts(found)) == ("", [], [{"board0", "board1", "board2"}])
    assert found.record.steps.tolist() == found.record.applied.tolist() == [2000] * 4
    assert found.end_s == pytest.approx(2000 * 0.02, rel=0.08)


def test_a_board_that_falls_silent_is_given_up_at_the_deadline_and_its_blocks_move() -> None:
    found = outcome(incidents=Incidents((outage("board1@10s"),)))
    (recovery,) = found.recoveries
    assert recovery.board == "board1"
    assert 15.0 < recovery.failed_s <= 15.5, "the deadline, and at most one heartbeat"
    assert hosts(found) == [{"board0", "board1", "board2"}, {"board0", "board2"}]
    taken = max(step for step, written_s in found.snapshots if written_s <= 10.0)
    assert recovery.step == taken, "it goes on from the newest snapshot that was whole"
    assert recovery.restore_s is not None
    assert 1.1 < recovery.restore_s < 1.2, "a second of grace, and a tenth to load"
    assert found.record.steps.tolist() == [2000] * 4
    again = found.record.applied - found.record.steps
    assert 0 < again.min() <= again.max() <= 2.0 / 0.02 + 8
    assert found.away_s["board1"] == pytest.approx(found.end_s - 10.0)


def test_a_killed_process_is_noticed_at_once_and_comes_back_into_the_run() -> None:
    found = outcome(incidents=Incidents((outage("kill:board1@10s+5s"),)))
    assert found.recoveries[0].failed_s == pytest.approx(10.1)
    assert hosts(found) == [{"board0", "board1", "board2"}, {"board0", "board2"}, {"board0", "board1", "board2"}]
    back_s = found.placements[-1][0]
    assert 15.0 < back_s < 20.0, "found by a look 2 or 4 seconds after another, then a snapshot"


def test_a_board_that_joins_gets_blocks_at_a_snapshot_taken_for_it() -> None:
    found = outcome(incidents=Incidents(joins=moments("join", ["board2@5s"])))
    assert hosts(found) == [{"board0", "board1"}, {"board0", "board1", "board2"}]
    assert not found.recoveries
    assert (found.record.applied - found.record.steps).max() <= 8, "next to nothing is computed twice"
    assert 7.0 <= found.placements[1][0] < 9.0


def test_a_drained_board_hands_its_blocks_over() -> None:
    found = outcome(incidents=Incidents(drains=moments("drain", ["board0@5s"])))
    assert hosts(found) == [{"board0", "board1", "board2"}, {"board1", "board2"}]
    with pytest.raises(ConfigError, match="last board of the run"):
        outcome(boards=1, incidents=Incidents(drains=moments("drain", ["board0@5s"]), joins={}))


def test_a_run_without_boards_is_given_up_when_its_patience_ends() -> None:
    found = outcome(incidents=Incidents(tuple(outage(f"board{number}@3s") for number in range(3))))
    assert found.given_up == "no board answers"
    assert 103.0 <= found.end_s <= 110.0
    assert 0 < found.record.steps.min() < 2000


def test_the_same_seed_gives_the_same_run_and_another_one_another() -> None:
    incidents = Incidents(mean_life_s=30.0, repair_s=5.0)
    first, again, other = (outcome(incidents=incidents, seed=seed) for seed in (1, 1, 2))
    assert first.record.spans == again.record.spans
    assert [r.facts() for r in first.recoveries] == [r.facts() for r in again.recoveries]
    assert first.end_s == again.end_s != other.end_s
    assert first.recoveries, "boards that live for 30 s on average fail in 40 s"


def test_a_failure_costs_no_step_and_no_order() -> None:
    """Every block applies every training step, in order, again from the snapshot after a failure."""
    found = outcome(incidents=Incidents((outage("kill:board0@1s"),)), steps=200)
    for block in range(4):
        steps = [span.step for span in found.record.spans if span.block == f"block{block}"]
        assert sorted(set(steps)) == list(range(200))
        falls = [other for one, other in pairwise(steps) if other != one + 1]
        assert len(falls) <= 1
        assert steps[-1] == 199


def test_times_in_virtual_time_are_whole_nanoseconds() -> None:
    assert nanoseconds(1e-9) == 1
    spans = VirtualRun(replace(job(steps=20), seed=3)).go().record.spans
    assert all(isinstance(span.end_ns, int) for span in spans)
