"""Side inputs: whichever blocks read which, however blocks are spread and interleaved, the bits are those of one process."""

from __future__ import annotations

import random
import tempfile
from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.board_runs import make_tokens
from support.tiny_bundle import SIDES, make_tiny_bundle

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BundleError, WireError
from edgebll.kernel.execution.board_dataflow import BoardDataflow
from edgebll.kernel.execution.sequential import run_sequential
from edgebll.kernel.execution.stage import HostedBlock
from edgebll.kernel.spec.edge_check import EdgeSpec, is_chain
from edgebll.kernel.state.block_state import state_sha256
from edgebll.kernel.wire import END, EVAL, SNAPSHOT, TRAIN, Message, Report, State, Token
from edgebll_devices.runtimes import load_block

BLOCKS = 4
KINDS = (TRAIN, TRAIN, EVAL, TRAIN, SNAPSHOT, TRAIN, EVAL, END)
Reading = dict[str, set[int]]
readings = st.dictionaries(st.sampled_from(["level", "mask"]), st.sets(st.integers(0, BLOCKS - 1), min_size=1), min_size=1)


def tokens(bundle: Bundle, reading: Reading) -> list[Token]:
    """Tokens of a stream with seeded side inputs."""
    found = []
    for token in make_tokens(bundle, KINDS, "run"):
        x = token.tensors.get("x")
        if x is None:
            found.append(token)
            continue
        drawn = np.random.default_rng([token.sequence, 1])
        side = {name: drawn.standard_normal(x.shape).astype(np.float32) for name in carried(reading, 0)}
        found.append(replace_tensors(token, {**token.tensors, **side}))
    return found


def replace_tensors(token: Token, tensors: dict[str, np.ndarray]) -> Token:
    made = replace(token)
    object.__setattr__(made, "tensors", tensors)
    return made


def carried(reading: Reading, index: int) -> list[str]:
    """What is read from a block on, by hand: in the order of blocks, and of the names at each."""
    found: list[str] = []
    for block in range(index, BLOCKS):
        found += [name for name, readers in reading.items() if block in readers and name not in found]
    return found


def seen(messages: list[Message]) -> tuple[str, dict[tuple[str, int], dict[str, float]]]:
    """Hash of the final states, and what each block reported for each token."""
    states = {m.block: m.block_state for m in messages if isinstance(m, State) and m.final}
    return state_sha256(states), {(m.block, m.sequence): m.values for m in messages if isinstance(m, Report)}


def over_boards(bundle: Bundle, stream: list[Token], cuts: set[int], seed: int) -> list[Message]:
    """All blocks on boards of neighbours, which take tokens and compute in any order."""
    order, messages, links = random.Random(seed), list[Message](), dict[str, deque[Token]]()
    hosted = [
        HostedBlock("run", load_block("reference", bundle, block.name), bundle.manifest) for block in bundle.manifest.blocks
    ]
    ends = sorted({*cuts, BLOCKS})
    groups = [hosted[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    boards = []
    for group in groups:
        for block in group:
            links[block.name] = deque()
        boards.append(BoardDataflow(group, lambda token: links[token.block].append(token), messages.append))
    links["block0"].extend(stream)
    while not all(board.ended for board in boards):
        which = order.randrange(len(boards))
        for block in groups[which]:
            if links[block.name] and order.random() < 0.5:
                boards[which].admit(links[block.name].popleft())
        if order.random() < 0.5:
            boards[which].advance()
    for board in boards:
        board.close()
    return messages


@settings(max_examples=12, deadline=None)
@given(reading=readings, cuts=st.sets(st.integers(1, BLOCKS - 1)), sides=st.booleans(), seed=st.integers(0, 99))
def test_any_boards_give_the_bits_of_one_process(reading: Reading, cuts: set[int], sides: bool, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        streams: tuple[EdgeSpec, ...] = SIDES if sides else ()
        bundle = make_tiny_bundle(Path(folder) / "tiny", blocks=BLOCKS, sides=streams, inputs=reading)
        names = [edge.tensors for edge in bundle.manifest.edges if is_chain(edge)]
        assert [tensors[2:] for tensors in names] == [tuple(carried(reading, index)) for index in range(BLOCKS)]
        stream = tokens(bundle, reading)
        alone = list(run_sequential(bundle, "run", iter(stream), runtime="reference"))
        assert seen(over_boards(bundle, stream, cuts, seed)) == seen(alone)
        other = [replace_tensors(t, {n: v if n in "xy" else v + 1 for n, v in t.tensors.items()}) for t in stream]
        assert seen(list(run_sequential(bundle, "run", iter(other), runtime="reference"))) != seen(alone), "they are read"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", blocks=BLOCKS, inputs={"level": {1}, "mask": {0, 3}})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"mask": None}, "block0 expected the tensors x, mask, level and y and got level, x, y"),
        ({"level": None}, "block0 expected the tensors x, mask, level and y and got mask, x, y"),
        ({"other": np.ones(1)}, "block0 expected the tensors x, mask, level and y and got level, mask, other, x, y"),
        ({"level": np.ones((4, 5), np.float32)}, r"block0 expected level as float32\[4, 6\] and got float32\[4, 5\]"),
        ({"mask": np.ones((4, 6))}, r"block0 expected mask as float32\[4, 6\] and got float64\[4, 6\]"),
    ],
)
def test_a_batch_without_what_is_read_later_is_refused_at_once(
    bundle: Bundle, changes: dict[str, np.ndarray | None], sentence: str
) -> None:
    block = HostedBlock("run", load_block("reference", bundle, "block0"), bundle.manifest)
    token = tokens(bundle, {"level": {1}, "mask": {0, 3}})[0]
    tensors = {name: v for name, v in {**token.tensors, **changes}.items() if v is not None}
    with pytest.raises(WireError, match=sentence):
        block.admit(replace_tensors(token, tensors))


def test_what_nobody_reads_any_more_travels_no_further(bundle: Bundle) -> None:
    token: Token | None = tokens(bundle, {"level": {1}, "mask": {0, 3}})[0]
    for index, left in enumerate([{"mask", "level"}, {"mask", "level"}, {"mask"}, {"mask"}]):
        assert token is not None
        assert token.tensors.keys() - {"x", "y"} == left
        block = HostedBlock("run", load_block("reference", bundle, f"block{index}"), bundle.manifest)
        block.admit(token)
        token = block.apply_next().onward


def test_a_manifest_whose_chain_carries_something_else_is_refused(bundle: Bundle) -> None:
    manifest = bundle.manifest
    first, *others = manifest.edges
    for tensors in (("x", "y"), ("x", "y", "mask"), ("x", "y", "level", "mask"), ("x", "y", "mask", "level", "more")):
        with pytest.raises(BundleError, match="the chain to block0 must carry x, y, mask, level, not"):
            replace(manifest, edges=(replace(first, tensors=tensors), *others))
    odd = replace(manifest.blocks[3], received=(replace(manifest.blocks[3].received[0], shape=(4, 9)),))
    with pytest.raises(BundleError, match=r"block3 reads 'mask' as float32\[4, 9\], but a block before it as float32\[4, 6\]"):
        replace(manifest, blocks=(*manifest.blocks[:3], odd))
