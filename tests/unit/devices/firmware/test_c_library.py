"""The C library computes what Python does, bit for bit, and refuses what it must not learn from; under sanitisers."""

from __future__ import annotations

import ctypes
import re
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.c_library import LIBRARY, LibraryBlock
from support.c_runtime import FLAGS, RUNTIME, compiler
from support.microcontroller_bundles import batches, bits, microcontroller_bundle
from support.slow import slow_after

from edgebll.kernel.microcontroller import plan_block
from edgebll.kernel.microcontroller.ordered_block import OrderedBlock

MEMORY, CRC, NOT_LOADED, UNLIKE, NOT_FINITE, STATE_SIZE = 6, 4, 32, 33, 35, 37


@pytest.fixture(scope="module")
def block() -> Iterator[LibraryBlock]:
    with LibraryBlock(microcontroller_bundle("mlp"), "block0") as loaded:
        yield loaded


def test_it_trains_predicts_and_gives_feedback_with_the_bits_of_python(block: LibraryBlock) -> None:
    assert block.error == 0
    before = block.state()
    with OrderedBlock(microcontroller_bundle("mlp"), "block0") as judge:
        assert all(np.array_equal(before[name], value) for name, value in judge.state().items())
        assert bits(block, 6) == bits(judge, 6)
        after, (x, y) = judge.state(), next(batches(judge.spec, 1, 9))
        wanted = judge.train(x, y, {"lr": 0.1})
    block.load_state(before)
    assert block.evaluate(x).tobytes() != wanted[0].tobytes()
    block.load_state(after)
    a, metrics, _ = block.train(x, y, {"lr": 0.1})
    assert (a.tobytes(), metrics) == (wanted[0].tobytes(), wanted[1])


@pytest.mark.parametrize(
    ("network", "name"),
    slow_after(
        0,
        [("mlp", "block1"), ("lenet", "block0"), ("resnet", "block2"), ("dscnn", "block1")],
        lambda network, _: network == "resnet",
    ),
)
def test_so_does_every_kind_of_block(network: str, name: str) -> None:
    bundle = microcontroller_bundle(network)
    with LibraryBlock(bundle, name) as block, OrderedBlock(bundle, name) as judge:
        assert bits(block, 2) == bits(judge, 2)


def test_what_is_not_finite_is_refused_before_anything_is_learned(block: LibraryBlock) -> None:
    x, y = next(batches(block.spec, 1))
    before = {name: value.tobytes() for name, value in block.state().items()}
    for value in (np.nan, np.inf, -np.inf):
        wrong = x.copy()
        wrong.flat[-1] = value
        labels = y.copy()
        labels.flat[-1] = value
        assert block.ask(b"p", wrong.tobytes()) == NOT_FINITE
        assert block.ask(b"f", labels.tobytes()) == NOT_FINITE
        for given in ((wrong, y, 0.1), (x, labels, 0.1), (x, y, value)):
            assert block.ask(b"t", given[0].tobytes(), given[1].tobytes(), struct.pack("<f", given[2])) == NOT_FINITE
    assert block.ask(b"t", x.tobytes(), y.tobytes(), struct.pack("<f", -0.5)) == NOT_FINITE
    assert block.ask(b"l", struct.pack("<I", 12), bytes(12)) == STATE_SIZE
    assert {name: value.tobytes() for name, value in block.state().items()} == before


@pytest.mark.parametrize(
    ("missing", "spoilt", "error"),
    [
        ((8, 0), "", MEMORY),
        ((0, 8), "", MEMORY),
        ((0, 0), "swapped", UNLIKE),
        ((0, 0), "foreign", UNLIKE),
        ((0, 0), "damaged", CRC),
    ],
)
def test_too_little_memory_and_wrong_plans_are_refused_when_it_is_loaded(
    missing: tuple[int, int], spoilt: str, error: int
) -> None:
    bundle = microcontroller_bundle("mlp")
    plan = plan_block(bundle, "block0")
    memory = (plan.state_bytes - missing[0], plan.arena_bytes - missing[1])
    with LibraryBlock(bundle, "block0", memory, spoilt) as block:
        assert block.error == error
        assert block.ask(b"s") == NOT_LOADED


def test_every_error_has_a_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    texts = str(LIBRARY / "edgebll_errors.c")
    made = [compiler(), *FLAGS, f"-I{RUNTIME}", "-shared", "-fPIC", texts, "-o", str(tmp_path / "texts.so")]
    subprocess.run(made, check=True)
    text = ctypes.CDLL(str(tmp_path / "texts.so")).edgebll_error_text
    text.restype = ctypes.c_char_p
    numbers = re.findall(
        r"EDGEBLL_[A-Z_]+ = (\d+)", (LIBRARY / "edgebll.h").read_text() + (RUNTIME / "edgebll_plan.h").read_text()
    )
    errors = {int(number) for number in numbers if int(number) >= 32} | set(range(1, 15))
    assert len(errors) == 14 + 9
    sentences = {error: text(error).decode() for error in errors}
    assert all("; " in sentence or "must" in sentence for sentence in sentences.values())
    assert len({sentence for error, sentence in sentences.items() if error >= 32}) == 9
    assert (text(0), text(99), text(-1)) == (b"all is well", b"no error of edgebll", b"no error of edgebll")
