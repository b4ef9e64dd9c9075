"""Virtual time is quick: a thousand boards take ten thousand steps in a minute and a GiB; here fewer steps."""

from __future__ import annotations

import time
import tracemalloc

from support.virtual_networks import cluster, network, spread_out, streamed

from edgebll_firmware_host.simulation.chain_stream import ChainStream
from edgebll_firmware_host.simulation.event_stream import EventStream
from edgebll_firmware_host.simulation.phantom_stream import PhantomStream
from edgebll_firmware_host.simulation.virtual_cluster import VirtualLink

LINK = VirtualLink(0.002, 1e6, 0.001, 0.01)


def test_a_thousand_boards_take_their_steps_in_a_minute_for_ten_thousand() -> None:
    manifest = network(1000)
    boards, placed = cluster(manifest, 1000, link=LINK, spread=0.1, message_s=2e-4), spread_out(manifest, [1] * 1000)
    started = time.process_time()
    found = streamed(ChainStream, manifest, placed, boards, PhantomStream("block0", 300), window=64)
    assert time.process_time() - started < 60.0 * 300 / 10_000
    assert found.record.steps.tolist() == [300] * 1000
    assert len(found.record.spans) == 50_000, "as many as a real run keeps"


def test_memory_does_not_grow_with_the_steps() -> None:
    manifest = network(50)
    boards, placed = cluster(manifest, 50, link=LINK, spread=0.1), spread_out(manifest, [1] * 50)
    peaks = []
    for steps in (1100, 2200):  # both fill the spans
        tracemalloc.start()
        streamed(ChainStream, manifest, placed, boards, PhantomStream("block0", steps))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def test_ten_boards_take_a_hundred_steps_event_by_event_in_a_tenth_of_a_second_or_so() -> None:
    manifest = network(10)
    boards, placed = cluster(manifest, 10, link=LINK, spread=0.1), spread_out(manifest, [1] * 10)
    started = time.process_time()
    streamed(EventStream, manifest, placed, boards, PhantomStream("block0", 100))
    assert time.process_time() - started < 0.5
