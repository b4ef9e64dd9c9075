"""Samples cut in time in firmware of one's own: the C library carries neurons and traces on, with the bits of `ordered`."""

from __future__ import annotations

import re
import struct
from dataclasses import replace

import numpy as np
import pytest
from support.c_library import LibraryBlock
from support.microcontroller_bundles import batches, bits, chunked_bundle, trained
from support.slow import slow_after

from edgebll.kernel.errors import BundleError
from edgebll.kernel.microcontroller.ordered_block import OrderedBlock
from edgebll.kernel.spec.time_chunks import RESET
from edgebll_devices.microcontroller.block_as_c import block_as_c

INPUTS, UNLIKE = 34, 33
CASES = [("eprop", "block0"), ("eprop", "block1"), ("decolle", "block1")]


@pytest.mark.parametrize(("rule", "name"), slow_after(1, CASES))
def test_chunks_have_the_bits_of_ordered_and_go_on_from_a_state_in_mid_sample(rule: str, name: str) -> None:
    bundle = chunked_bundle(rule)
    with LibraryBlock(bundle, name) as block, OrderedBlock(bundle, name) as judge:
        assert block.error == 0
        x, y = next(batches(block.spec, 1, 7))
        assert trained(block, x, y, 0) == trained(judge, x, y, 0)
        middle = judge.state()
        assert {key: value.tobytes() for key, value in block.state().items()} == {k: v.tobytes() for k, v in middle.items()}
        bits(block, 1)
        block.load_state(middle)
        assert trained(block, x, y, 1) == trained(judge, x, y, 1)
        assert bits(block, 2) == bits(judge, 2)
        block.load_state(middle)
        judge.load_state(middle)
        assert trained(block, x, y, 0) == trained(judge, x, y, 0), "the same chunk where a sample begins"
        again = judge.state()
        judge.load_state(middle)
        trained(judge, x, y, 1)
        assert any(again[key].tobytes() != value.tobytes() for key, value in judge.state().items()), "the flag is no matter"


def test_the_plain_call_begins_every_sample_anew() -> None:
    bundle = chunked_bundle("decolle")
    with LibraryBlock(bundle, "block0") as block:
        x, y = next(batches(block.spec, 1))
        given = (np.ascontiguousarray(x[:, :2]).tobytes(), y.tobytes(), struct.pack("<f", 0.05))
        start = block.state()
        found = []
        for letter, more in ((b"t", ()), (b"c", (struct.pack("<i", -7),)), (b"c", (bytes(4),))):
            block.load_state(start)
            trained(block, x, y, 0)  # so that something is carried
            assert block.ask(letter, *given, *more) == 0
            block._read(4 * (2 * 2 * 8 + len(block.spec.metrics)))
            found.append([value.tobytes() for value in block.state().values()])
    assert found[0] == found[1] != found[2]


def test_the_header_tells_what_a_step_takes_and_other_scalars_are_refused() -> None:
    bundle = chunked_bundle("decolle")
    header = block_as_c(bundle, "block0").header
    numbers = {name: int(number) for name, number in re.findall(r"#define BLOCK0_(\w+) (\d+)u", header)}
    assert (numbers["X_COUNT"], numbers["TRAIN_X_COUNT"], numbers["CHUNKS"]) == (2 * 4 * 6, 2 * 2 * 6, 2)
    assert (numbers["A_COUNT"], numbers["TRAIN_A_COUNT"]) == (2 * 4 * 8, 2 * 2 * 8)
    first, second = bundle.manifest.blocks
    masked = replace(bundle.manifest, blocks=(replace(first, scalars=("lr", "count", RESET)), second))
    with pytest.raises(BundleError, match="block0 takes count besides x, y and lr, which the C library does not give"):
        block_as_c(replace(bundle, manifest=masked), "block0")


@pytest.mark.parametrize(("chunks", "error"), [(0, INPUTS), (1, INPUTS), (3, UNLIKE)])
def test_plans_of_other_chunks_than_the_header_says_are_refused(chunks: int, error: int) -> None:
    with LibraryBlock(chunked_bundle("decolle"), "block0", spoilt=f"chunks{chunks}") as block:
        assert block.error == error
