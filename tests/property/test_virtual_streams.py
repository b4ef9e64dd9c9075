"""Two ways to one timeline: cumulative maxima over stages give what boards' own scheduling gives event by event, to the bit."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.virtual_networks import cluster, network, spread_out, streamed

from edgebll_firmware_host.simulation.block_costs import NEVER
from edgebll_firmware_host.simulation.chain_stream import ChainStream
from edgebll_firmware_host.simulation.event_stream import EventStream
from edgebll_firmware_host.simulation.phantom_stream import PhantomStream
from edgebll_firmware_host.simulation.virtual_cluster import VirtualHost, VirtualLink

links = st.builds(
    VirtualLink,
    st.sampled_from([0.0, 0.0005, 0.02]),
    st.sampled_from([None, 1e5, 1e7]),
    st.sampled_from([0.0, 0.004]),
    st.sampled_from([0.0, 0.05]),
)
streams = st.builds(
    PhantomStream, st.just("block0"), st.integers(1, 25), st.integers(1, 2), st.integers(0, 3), st.sampled_from([0, 4])
)


@st.composite
def incarnations(draw: st.DrawFn) -> dict[str, Any]:
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    manifest = network(sum(sizes), state=draw(st.sampled_from([10, 4000])))
    boards = cluster(
        manifest,
        len(sizes),
        step_s=0.01,
        speeds=draw(st.lists(st.sampled_from([0.3, 1.0, 2.5]), min_size=1, max_size=4)),
        link=draw(links),
        host=VirtualHost(draw(st.sampled_from([0.0, 0.003])), 1e-5, draw(st.sampled_from([None, 1e5]))),
        spread=draw(st.sampled_from([0.0, 0.3])),
        message_s=draw(st.sampled_from([0.0, 2e-4])),
        report_s=draw(st.sampled_from([0.0, 1e-4])),
        byte_s=1e-9,
        copy_s=draw(st.sampled_from([0.0, 1e-7])),
    )
    dying = draw(st.none() | st.integers(0, len(sizes) - 1))
    died_ns = draw(st.integers(1, 400_000_000))
    return {
        "manifest": manifest,
        "placement": spread_out(manifest, sizes),
        "boards": boards,
        "stream": draw(streams),
        "window": draw(st.integers(1, 9)),
        "dies_ns": {} if dying is None else {f"board{dying}": died_ns},
        "until_ns": NEVER if dying is None else died_ns + draw(st.integers(0, 300_000_000)),
        "wanted_ns": draw(st.sampled_from([NEVER, 50_000_000])),
        "snapshot_seconds": draw(st.sampled_from([0.0, 0.1])),
        "seed": draw(st.integers(0, 3)),
    }


@settings(max_examples=60, deadline=None)
@given(incarnations())
def test_stages_and_events_give_the_same_bits(how: dict[str, Any]) -> None:
    assert streamed(ChainStream, **how).all == streamed(EventStream, **how).all
