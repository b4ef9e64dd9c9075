"""Whom each board is told to send to, and whose keys it is told to let in: along the chain and side streams, both ways."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from support.tiny_bundle import SIDES, make_tiny_bundle

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.keys import KeyPair
from edgebll.kernel.wire import SPIKES
from edgebll_firmware_host.fleet.board_sessions import Neighbours, neighbours
from edgebll_firmware_host.policy.block_placement import Placement, step_period
from edgebll_firmware_host.policy.workload import step_bytes

HOST_KEYS = KeyPair("host's", "secret")
SPREAD = Placement({"a": ("block0",), "b": ("block1", "block2"), "c": ("block3",)})


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", blocks=4, sides=SIDES)


def around(bundle: Bundle, placement: Placement, keys: KeyPair | None, capable: str = "") -> dict[str, Neighbours]:
    links = {
        name: SimpleNamespace(
            data_endpoint=f"tcp://{name}:1",
            entry=SimpleNamespace(public_key=f"{name}'s"),
            capabilities=frozenset({SPIKES, "more"} if name in capable else ()),
        )
        for name in placement.blocks
    }
    where = lambda _, target: links[target].data_endpoint  # noqa: E731
    return neighbours(placement, bundle.manifest.edges, links, keys, where)  # type: ignore[arg-type]


def test_endpoints_are_those_of_all_targets_elsewhere(bundle: Bundle) -> None:
    found = around(bundle, SPREAD, None)
    assert found["a"] == Neighbours({"block1": "tcp://b:1", "block2": "tcp://b:1"})
    assert found["b"] == Neighbours({"block3": "tcp://c:1"})
    assert found["c"] == Neighbours({"block0": "tcp://a:1"})


def test_spikes_go_where_both_boards_know_them(bundle: Bundle) -> None:
    found = around(bundle, SPREAD, None, capable="ab")
    assert {name: set(one.spikes) for name, one in found.items()} == {"a": {"block1", "block2"}, "b": set(), "c": set()}


def test_keys_go_both_ways(bundle: Bundle) -> None:
    found = around(bundle, SPREAD, HOST_KEYS)
    assert found["a"].endpoint_keys == {"block1": "b's", "block2": "b's"}
    assert found["c"].endpoint_keys == {"block0": "a's"}
    allowed = {name: set(one.upstream_keys) for name, one in found.items()}
    assert allowed == {"a": {"host's", "c's"}, "b": {"a's"}, "c": {"b's"}}


def test_one_board_sends_to_none(bundle: Bundle) -> None:
    alone = Placement({"a": tuple(f"block{k}" for k in range(4))})
    assert around(bundle, alone, HOST_KEYS) == {"a": Neighbours(upstream_keys=["host's"])}


def test_a_block_costs_what_it_sends_and_receives_too(bundle: Bundle, tmp_path: Path) -> None:
    plain = make_tiny_bundle(tmp_path / "plain", blocks=4)
    pairs = zip(bundle.manifest.blocks, plain.manifest.blocks, strict=True)
    more = [step_bytes(here) - step_bytes(there) for here, there in pairs]
    told, seen = 6 * 4, 4 * 6 * 4
    assert more == [told + seen + told, told, told + seen + told, told]


def test_a_step_takes_at_least_the_slowest_board_and_the_way_round_a_backward_stream(bundle: Bundle, tmp_path: Path) -> None:
    each = Placement({name: (f"block{k}",) for k, name in enumerate("abcd")})
    seconds = [1.0, 2.0, 3.0, 4.0]
    # block2 to block1 with lag 1: 2 + 3; block3 to block0 with lag 2: (1 + 2 + 3 + 4) / 2
    assert step_period(bundle.manifest, seconds, each) == 5
    assert step_period(bundle.manifest, [1.0, 1.0, 1.0, 4.0], each) == 4
    assert step_period(bundle.manifest, seconds, SPREAD) == 5
    assert step_period(bundle.manifest, seconds, Placement({"a": tuple(f"block{k}" for k in range(4))})) == 10
    plain = make_tiny_bundle(tmp_path / "plain", blocks=4)
    assert step_period(plain.manifest, seconds, each) == 4
