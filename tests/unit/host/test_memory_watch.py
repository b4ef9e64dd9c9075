"""What a run makes of what boards say of their memory and of how they ended before."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.fake_board import welcome
from support.tiny_bundle import make_tiny_bundle

from edgebll.kernel.bundle import CONSTANTS
from edgebll.kernel.errors import BoardError
from edgebll.kernel.spec.file_entry import FileEntry
from edgebll_firmware_host.fleet.board_link import BoardLink
from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.policy.memory_need import BLOCK_BYTES, BOARD_BYTES, CONSTANT_COPIES, STATE_COPIES, Needs, needs
from edgebll_firmware_host.run.memory_watch import MemoryWatch

NEEDS = Needs({"block0": 1, "block1": 1}, {"block0": 1, "block1": 1}, {"block0": 0, "block1": 0})


@contextlib.contextmanager
def linked(memory_mib: int | None = None, **said: Any) -> Iterator[dict[str, BoardLink]]:
    with contextlib.closing(BoardLink(BoardEntry("a", "tcp://127.0.0.1:1", memory_mib=memory_mib), "run", None)) as link:
        link.accept(welcome(**said))
        yield {"a": link}


def test_a_board_that_was_killed_for_memory_is_told_of_once_and_gets_it_no_more() -> None:
    said: list[str] = []
    watch = MemoryWatch(NEEDS, said.append)
    with linked(starved=("block0",), starved_times=1) as links:
        watch.heard(links)
        watch.heard(links)
        assert watch.room(links).starved == {"a": [frozenset({"block0"})]}
    (told,) = said
    assert told == "board a at tcp://127.0.0.1:1 was killed with block0, probably because it was out of memory"


def test_three_deaths_without_progress_end_the_run() -> None:
    watch = MemoryWatch(NEEDS, lambda _: None)
    for times in (1, 2):
        with linked(starved=("block0",), starved_times=times) as links:
            watch.heard(links)
    assert not watch.hopeless
    with (
        linked(starved=("block0",), starved_times=3) as links,
        pytest.raises(BoardError, match="for the 3rd time without progress; give it more memory"),
    ):
        watch.heard(links)
    assert watch.hopeless


def test_progress_between_deaths_counts() -> None:
    watch = MemoryWatch(NEEDS, lambda _: None)
    for times in range(1, 9):
        with linked(starved=("block0",), starved_times=times) as links:
            watch.heard(links)
        watch.progress()
    assert not watch.hopeless


def test_the_entry_of_a_board_knows_better() -> None:
    watch = MemoryWatch(NEEDS, lambda _: None)
    own = {"memory_free_bytes": 300 << 20, "memory_limited_by": "ulimit -v"}
    for memory_mib, expected in ((None, {"a": 300 << 20}), (500, {"a": 500 << 20}), (0, {})):
        with linked(memory_mib, **own) as links:
            assert watch.room(links).free == expected
    with linked() as links:
        assert watch.room(links).free == {}, "an older board does not say"


def test_what_blocks_need_counts_states_tokens_and_the_runtime(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "tiny", features=64, batch_size=32)
    spec = bundle.manifest.blocks[0]
    one, eight = needs(bundle, 1), needs(bundle, 8)
    token = spec.input.size_bytes + spec.labels.size_bytes
    assert eight.of(("block0",)) - one.of(("block0",)) == 7 * token
    assert one.of(("block0",)) >= BOARD_BYTES + BLOCK_BYTES + STATE_COPIES * spec.state_bytes + token
    assert one.of(("block0",), "tensorrt") == BOARD_BYTES + STATE_COPIES * spec.state_bytes + token
    assert one.of(()) == 0


def test_what_blocks_need_counts_what_is_frozen_in_their_graphs(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "tiny", features=64, batch_size=32)
    block, frozen = bundle.manifest.blocks[0].name, 1 << 20
    entry = {f"{block}/{CONSTANTS}": FileEntry("0" * 64, frozen)}
    other = replace(bundle, manifest=replace(bundle.manifest, files={**bundle.manifest.files, **entry}))
    assert needs(other, 1).of((block,)) - needs(bundle, 1).of((block,)) == CONSTANT_COPIES * frozen
