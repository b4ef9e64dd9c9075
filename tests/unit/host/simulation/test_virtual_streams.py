"""When blocks compute in virtual time: as a plain loop over the definition says, and by hand where that is short."""

from __future__ import annotations

import pytest
from support.virtual_networks import cluster, network, spread_out, streamed

from edgebll_firmware_host.simulation.chain_stream import ChainStream
from edgebll_firmware_host.simulation.event_stream import EventStream
from edgebll_firmware_host.simulation.phantom_stream import PhantomStream
from edgebll_firmware_host.simulation.virtual_cluster import VirtualHost, VirtualLink

MS = 1_000_000
WAYS = (ChainStream, EventStream)


@pytest.mark.parametrize("way", WAYS)
def test_a_window_of_one_lets_one_batch_at_a_time_through(way: type[ChainStream]) -> None:
    manifest = network(2)
    found = streamed(way, manifest, spread_out(manifest, [1, 1]), cluster(manifest, 2), PhantomStream("block0", 3), window=1)
    starts = {(span.block, span.step): span.start_ns // MS for span in found.record.spans}
    assert starts == {(f"block{b}", s): 20 * s + 10 * b for b in range(2) for s in range(3)}
    assert found.host.finals_ns == 60 * MS


@pytest.mark.parametrize("way", WAYS)
def test_a_window_of_two_keeps_both_boards_busy(way: type[ChainStream]) -> None:
    manifest = network(2)
    found = streamed(way, manifest, spread_out(manifest, [1, 1]), cluster(manifest, 2), PhantomStream("block0", 50), window=2)
    assert found.host.finals_ns == 51 * 10 * MS
    assert found.record.busy_ns.tolist() == [500 * MS] * 2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("window", [1, 2, 3, 7])
def test_the_timeline_is_that_of_the_definition(way: type[ChainStream], window: int) -> None:
    """Three boards of different speeds, links of a rate and a latency, processor time for messages and for tokens."""
    manifest = network(3)
    link, host = VirtualLink(0.004, 1e6), VirtualHost(0.001)
    boards = cluster(manifest, 3, speeds=(1.0, 0.5, 2.0), link=link, host=host, message_s=0.0002, report_s=0.0003)
    found = streamed(way, manifest, spread_out(manifest, [1, 1, 1]), boards, PhantomStream("block0", 12), window=window)
    spans = {(span.block, span.step): (span.start_ns, span.end_ns) for span in found.record.spans}
    size = 200 + 4 * (256 + 10)  # header, x and y
    wire, latency, message, report = size * 1000, 4 * MS, MS // 5, 3 * MS // 10
    compute = [10 * MS, 20 * MS, 5 * MS]
    host_free, free, out = 0, [0] * 3, [0] * 3
    done: list[int] = []
    for step in range(12):
        host_free = at = max(host_free, done[step - window] if step >= window else 0) + MS
        for board in range(3):
            out[board] = max(at, out[board]) + wire
            start = max(out[board] + latency, free[board]) + message
            end = start + compute[board]
            assert spans[f"block{board}", step] == (start, end)
            at = end + (message if board < 2 else report)
            free[board] = end + (message + report if board < 2 else report)
        done.append(at + latency)


def test_a_latest_block_that_is_ready_goes_first_and_side_streams_are_waited_for() -> None:
    """block0 on one board waits for what block2 on the other one sent in the step before: nothing overlaps."""
    manifest = network(3, sides=[(2, 0, 1)])
    placed = spread_out(manifest, [2, 1])
    found = streamed(EventStream, manifest, placed, cluster(manifest, 2), PhantomStream("block0", 4), window=4)
    starts = {(span.block, span.step): span.start_ns // MS for span in found.record.spans}
    assert starts == {(f"block{b}", s): 30 * s + 10 * b for b in range(3) for s in range(4)}
    late = network(3, sides=[(2, 0, 3)])
    found = streamed(EventStream, late, placed, cluster(late, 2), PhantomStream("block0", 4), window=4)
    assert max(span.end_ns for span in found.record.spans) == (4 * 20 + 10) * MS


def test_snapshots_hold_up_what_leaves_by_the_same_way() -> None:
    """100,000 bytes of state at 1 MB/s: the board's next activation waits for them."""
    manifest = network(2, state=25_000)
    boards = cluster(manifest, 2, link=VirtualLink(0.0, 1e6))
    placed = spread_out(manifest, [1, 1])
    bare, often = (streamed(ChainStream, manifest, placed, boards, PhantomStream("block0", 40, 1, 0, n)) for n in (0, 4))
    assert len(often.host.written) == 10
    slower_ms = (often.host.finals_ns - bare.host.finals_ns) / MS
    assert 9 * (100 - 10 * 4) < slower_ms < 10 * 102


def test_an_evaluation_takes_the_time_of_a_forward_pass() -> None:
    manifest = network(1)
    boards, placed = cluster(manifest, 1, step_s=0.03), spread_out(manifest, [1])
    found = streamed(ChainStream, manifest, placed, boards, PhantomStream("block0", 2, 2, 3))
    kinds = [(span.kind, (span.end_ns - span.start_ns) // MS) for span in found.record.spans]
    assert kinds == 2 * [*(2 * [("TRAIN", 30)]), *(3 * [("EVAL", 10)])]


def test_the_mean_of_step_times_stays_whatever_their_spread() -> None:
    manifest = network(1)
    placed, stream = spread_out(manifest, [1]), PhantomStream("block0", 4000)
    even, uneven = (streamed(ChainStream, manifest, placed, cluster(manifest, 1, spread=s), stream) for s in (0.0, 0.5))
    assert uneven.record.busy_ns[0] == pytest.approx(even.record.busy_ns[0], rel=0.03)
    assert uneven.record.busy_ns[0] != even.record.busy_ns[0]


def test_what_is_lost_comes_a_round_trip_later() -> None:
    """A quarter of the segments is lost; a token is one segment, so each loss is one of its tail."""
    manifest = network(1, features=10)
    link = VirtualLink(0.01, None, 0.0, 0.25)
    found = streamed(
        ChainStream,
        manifest,
        spread_out(manifest, [1]),
        cluster(manifest, 1, link=link),
        PhantomStream("block0", 2000),
        window=1,
    )
    per_step_s = found.host.finals_ns / 1e9 / 2000
    wire_s = (200 + 80) / (1.22 * 1448 / (0.02 * 0.5))  # what TCP gets at this loss and round trip
    assert per_step_s == pytest.approx(0.01 + 2 * 0.01 + wire_s + 2 * 0.25 * (0.2 + 0.02), rel=0.05)
