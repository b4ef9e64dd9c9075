"""Plans of blocks come back from their bytes as they were, and damage never gets past the reader as anything but a sentence."""

from __future__ import annotations

import zlib
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_plans import random_plan

from edgebll.kernel.errors import BundleError
from edgebll.kernel.microcontroller.plan_check import check_plan
from edgebll.kernel.microcontroller.plan_format import decode, encode

SEEDS = st.integers(0, 1 << 32)


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_a_plan_comes_back_as_it_was(seed: int) -> None:
    plan = random_plan(Random(seed))
    check_plan(plan)
    data = encode(plan)
    assert len(data) % 4 == 0
    assert decode(data) == plan
    assert encode(decode(data)) == data


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.data())
def test_every_damaged_byte_is_seen(seed: int, data: st.DataObject) -> None:
    whole = bytearray(encode(random_plan(Random(seed), kernels=2)))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BundleError):
        decode(bytes(whole))


@settings(max_examples=100, deadline=None)
@given(SEEDS, st.data())
def test_what_has_a_right_checksum_is_a_plan_or_a_sentence(seed: int, data: st.DataObject) -> None:
    whole = bytearray(encode(random_plan(Random(seed), kernels=2)))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(4, len(whole) - 5))] = data.draw(st.integers(0, 255))
    whole[-4:] = zlib.crc32(whole[:-4]).to_bytes(4, "little")
    said = ""
    try:
        check_plan(decode(bytes(whole)))
    except BundleError as error:
        said = str(error)
    assert said == "" or 20 < len(said) < 250
