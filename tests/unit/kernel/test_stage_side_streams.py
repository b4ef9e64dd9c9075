"""Side streams between hosted blocks: which steps read what, in any order of arrival; and what is refused."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support.board_runs import make_tokens
from support.tiny_bundle import SIDES, make_batch, make_tiny_bundle

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BundleError, LinkError
from edgebll.kernel.execution.board_dataflow import BoardDataflow
from edgebll.kernel.execution.sequential import run_sequential
from edgebll.kernel.execution.stage import HostedBlock
from edgebll.kernel.spec.manifest import BlockSpec, TensorSpec
from edgebll.kernel.state.block_state import state_sha256
from edgebll.kernel.wire import END, EVAL, SNAPSHOT, TRAIN, Report, State, Token
from edgebll_devices.runtimes import load_block

KINDS = (TRAIN, TRAIN, EVAL, TRAIN, SNAPSHOT, TRAIN, TRAIN, EVAL, TRAIN, END)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", blocks=4, sides=SIDES)


def by_hand(bundle: Bundle) -> list[np.ndarray[Any, Any]]:
    """Final weights by the formulas, with what was sent kept in tables by block and step."""
    w = [bundle.state(f"block{k}")["w"].astype(np.float64) for k in range(4)]
    told: dict[tuple[int, int], Any] = {}
    seen: dict[tuple[int, int], Any] = {}
    step = 0
    for sequence, kind in enumerate(KINDS):
        if kind != TRAIN:
            continue
        x, y = make_batch(bundle, sequence)
        for k in range(4):
            a = x @ w[k] if k == 3 else np.maximum(x @ w[k], 0)
            seen[k, step] = x
            w[k] = w[k] - 0.05 * x.T @ (a - y if k == 3 else a) / len(x)
            for edge in SIDES:
                source, at = int(edge.source[-1]), step - edge.lag
                if edge.target == f"block{k}" and at >= 0:
                    w[k] -= 0.1 * told[source, at][:, None]
                    w[k] -= 0.1 * seen[source, at].mean(0)[:, None] if "seen" in edge.tensors else 0
            told[k, step] = w[k].mean(1)
            x = a
        step += 1
    return w


def test_each_step_reads_what_was_sent_lag_steps_before(bundle: Bundle) -> None:
    messages = list(run_sequential(bundle, "run", make_tokens(bundle, KINDS, "run"), runtime="reference"))
    final: dict[str, Any] = {m.block: m.tensors["w"] for m in messages if isinstance(m, State) and m.final}
    expected: Any
    for k, expected in enumerate(by_hand(bundle)):
        np.testing.assert_allclose(final[f"block{k}"], expected, rtol=1e-4, atol=1e-6)


class Boards:
    """Stations joined by FIFO links, which a chance picks from; the host feeds so far ahead as its window allows."""

    def __init__(self, bundle: Bundle, placement: list[list[int]], window: int, seed: int) -> None:
        self.chance, self.window = random.Random(seed), window
        self.final: dict[str, Any] = {}
        self.fed = self.done = self.longest = 0
        self.links: dict[tuple[int, int], deque[Token]] = {}
        self.home = {f"block{k}": board for board, blocks in enumerate(placement) for k in blocks}
        self.stations = [self._station(bundle, board, blocks) for board, blocks in enumerate(placement)]

    def _station(self, bundle: Bundle, board: int, blocks: list[int]) -> BoardDataflow:
        loaded = [load_block("reference", bundle, f"block{k}") for k in blocks]
        hosted = [HostedBlock("run", runtime, bundle.manifest) for runtime in loaded]
        return BoardDataflow(hosted, lambda token: self._send(board, token), self._post)

    def _send(self, board: int, token: Token) -> None:
        link = self.links.setdefault((board, self.home[token.block]), deque())
        link.append(token)
        self.longest = max(self.longest, len(link))

    def _post(self, message: object) -> None:
        if isinstance(message, (Report, State)) and message.block == "block3":
            self.done = message.sequence + 1
        if isinstance(message, State) and message.final:
            self.final[message.block] = message.tensors

    def _moves(self) -> Iterator[bool]:
        for station in self.chance.sample(self.stations, len(self.stations)):
            yield station.advance()
            station.flush()
        for (_, there), link in self.chance.sample(list(self.links.items()), len(self.links)):
            yield bool(link)
            if link and self.chance.random() < 0.6:
                self.stations[there].admit(link.popleft())

    def run(self, tokens: Iterator[Token]) -> str:
        while not all(station.ended for station in self.stations):
            moved = False
            while self.fed - self.done < self.window and (token := next(tokens, None)) is not None:
                self.fed += 1
                self.stations[self.home["block0"]].admit(token)
                moved = True
            moved |= any(list(self._moves()))
            assert moved, "deadlock"
        assert not any(self.links.values()), "something came after the end"
        return state_sha256(self.final)


@pytest.mark.parametrize("window", [1, 2, 3, 100])
@pytest.mark.parametrize("placement", [[[0, 1, 2, 3]], [[0, 1], [2, 3]], [[0, 2], [1, 3]], [[0], [1], [2], [3]]])
def test_any_boards_window_and_timing_give_the_same_bits(bundle: Bundle, placement: list[list[int]], window: int) -> None:
    digests = set()
    for seed in range(3):
        boards = Boards(bundle, placement, window, seed)
        digests.add(boards.run(make_tokens(bundle, KINDS, "run")))
        assert boards.longest <= 3 * (min(window, len(KINDS)) + 2)  # three streams at most share a link
    messages = run_sequential(bundle, "run", make_tokens(bundle, KINDS, "run"), runtime="reference")
    assert digests == {state_sha256({m.block: m.tensors for m in messages if isinstance(m, State) and m.final})}


@pytest.fixture
def block2(bundle: Bundle) -> Iterator[HostedBlock]:
    """The block that block0 tells what it saw."""
    with load_block("reference", bundle, "block2") as runtime:
        yield HostedBlock("run", runtime, bundle.manifest)


def side(**changes: Any) -> Token:
    tensors = {"told": np.ones(6, np.float32), "seen": np.ones((4, 6), np.float32), **changes.pop("tensors", {})}
    values = {"kind": TRAIN, "sequence": 0, "step": 0, "source": "block0", **changes}
    return Token("run", "block2", **values, tensors={name: value for name, value in tensors.items() if value is not None})


def chain(kind: str, sequence: int, step: int) -> Token:
    x, y = np.ones((4, 6), np.float32), np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    return Token("run", "block2", kind, sequence, step, 4, {"lr": 0.1}, tensors={"x": x, "y": y} if kind != END else {})


def test_a_step_waits_for_its_side_streams_and_an_evaluation_does_not(block2: HostedBlock) -> None:
    block2.admit(chain(EVAL, 0, 0))
    assert block2.ready
    block2.apply_next()
    block2.admit(chain(TRAIN, 1, 0))
    assert not block2.ready
    block2.admit(side())
    assert block2.ready
    applied = block2.apply_next()
    assert applied.onward is not None
    assert applied.onward.block == "block3"
    (told,) = applied.beside
    assert told == Token("run", "block1", TRAIN, 1, 0, source="block2")
    assert told.tensors.keys() == {"told"}


def test_the_end_waits_for_the_rest_of_the_side_streams(bundle: Bundle) -> None:
    with load_block("reference", bundle, "block0") as runtime:
        block = HostedBlock("run", runtime, bundle.manifest)
        for token in make_tokens(bundle, [TRAIN, TRAIN, END], "run"):
            block.admit(token)
        block.apply_next()
        block.apply_next()
        for step in range(2):
            assert not block.ready
            told: dict[str, np.ndarray[Any, Any]] = {"told": np.zeros(6, np.float32)}
            block.admit(Token("run", "block0", TRAIN, step, step, source="block3", tensors=told))
        assert block.ready
        assert block.apply_next().message == State("run", "block0", 2, 2, True)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"source": "block9"}, r"block2: .* training step 0 of block9; expected was only block0"),
        ({"source": "block3"}, r"block2: .* training step 0 of block3; expected was only block0"),
        ({"step": 1}, "block2: .* training step 1 of block0; expected was training step 0"),
        ({"kind": EVAL}, "block2 expected training steps of block0 on a side stream and got EVAL"),
        ({"tensors": {"told": None}}, "block2 expected the tensors seen, told of block0 and got seen"),
        ({"tensors": {"else": np.ones(1)}}, "block2 expected the tensors seen, told of block0 and got else, seen, told"),
        ({"tensors": {"told": np.ones(5, np.float32)}}, r"block2 expected block0.told as float32\[6\] and got float32\[5\]"),
        ({"tensors": {"seen": np.ones((4, 6))}}, r"block2 expected block0.seen as float32\[4, 6\] and got float64\[4, 6\]"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(block2: HostedBlock, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(LinkError, match=sentence) as caught:
        block2.admit(side(**changes))
    assert caught.value.exit_code == 7
    assert "\n" not in str(caught.value)
    block2.admit(chain(TRAIN, 0, 0))
    assert not block2.ready
    block2.admit(side())  # the place in the stream is unharmed
    assert block2.ready


def test_a_token_that_comes_twice_is_refused(block2: HostedBlock) -> None:
    block2.admit(side())
    with pytest.raises(LinkError, match="training step 0 of block0; expected was training step 1"):
        block2.admit(side())


def test_names_that_are_taken_are_refused() -> None:
    x, y, a = (TensorSpec(name, "float32", (1, 1)) for name in "xya")
    state = (TensorSpec("w", "float32", (1,)),)
    for name in ("x", "a", "metrics", "w", "w.next", "lr", "told"):
        given = (TensorSpec("told", "float32", (1,)), TensorSpec(name, "float32", (1,)))
        with pytest.raises(BundleError, match="a name is taken already"):
            BlockSpec("block0", x, y, a, state, ("lr",), ("loss",), ("w",), sent=given)
