from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.fake_runtime import FakeRuntime
from support.tiny_bundle import make_batch, make_tiny_bundle

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import LinkError, WireError
from edgebll.kernel.execution.board_dataflow import BoardDataflow
from edgebll.kernel.execution.stage import HostedBlock
from edgebll.kernel.state.block_state import state_sha256
from edgebll.kernel.wire import END, EVAL, OUTPUT, SNAPSHOT, TRAIN, Message, Report, State, Token

RUN = "run"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", blocks=3)


def hosted(bundle: Bundle, index: int) -> HostedBlock:
    spec = bundle.manifest.blocks[index]
    return HostedBlock(RUN, FakeRuntime(spec, bundle.state(spec.name)), bundle.manifest)


def tokens(bundle: Bundle, kinds: list[str], block: str = "block0") -> list[Token]:
    made, step = [], 0
    for sequence, kind in enumerate(kinds):
        x, y = make_batch(bundle, sequence)
        tensors = {"x": x, "y": y} if kind in (TRAIN, EVAL) else {}
        made.append(Token(RUN, block, kind, sequence, step, 3, {"lr": 0.1}, tensors=tensors))
        step += kind == TRAIN
    return made


def test_a_training_token_is_reported_and_goes_on_with_the_activation(bundle: Bundle) -> None:
    block, (token,) = hosted(bundle, 0), tokens(bundle, [TRAIN])
    block.admit(token)
    assert block.ready
    applied = block.apply_next()
    w: Any = bundle.state("block0")["w"]
    assert applied.onward == Token(RUN, "block1", TRAIN, 0, 0, 3, {"lr": 0.1})
    given: Any = applied.onward.tensors["x"]
    np.testing.assert_allclose(given, np.maximum(token.tensors["x"] @ w, 0), rtol=1e-6)
    assert applied.onward.tensors["y"] is token.tensors["y"]
    report = applied.message
    assert isinstance(report, Report)
    assert (report.block, report.kind, report.sequence, set(report.values)) == ("block0", TRAIN, 0, {"loss"})
    assert 0 < report.start_ns <= report.end_ns


def test_only_the_last_block_scores_an_evaluation(bundle: Bundle) -> None:
    inner, last = hosted(bundle, 0), hosted(bundle, 2)
    for block, expected in ((inner, set()), (last, {"correct", "loss_sum", "count"})):
        block.admit(tokens(bundle, [EVAL], block.name)[0])
        message = block.apply_next().message
        assert isinstance(message, Report)
        assert set(message.values) == expected


def test_the_last_block_gives_its_output_where_it_is_asked_for_it(bundle: Bundle) -> None:
    inner, last = hosted(bundle, 0), hosted(bundle, 2)
    (token,) = tokens(bundle, [EVAL], "block2")
    last.admit(replace(token, count=2, scalars={OUTPUT: 1.0}, tensors=token.tensors))
    report = last.apply_next().message
    assert isinstance(report, Report)
    assert (report.values, report.tensors.keys()) == ({}, {OUTPUT})
    given: Any = report.tensors[OUTPUT]
    x: Any = token.tensors["x"]
    np.testing.assert_allclose(given, (x @ bundle.state("block2")["w"])[:2], rtol=1e-6)
    inner.admit(replace(token, block="block0", scalars={OUTPUT: 1.0}, tensors=tokens(bundle, [EVAL])[0].tensors))
    applied = inner.apply_next()
    assert applied.onward is not None
    assert (applied.message.tensors, applied.onward.scalars) == ({}, {OUTPUT: 1.0}), "the next block is asked too"


def test_snapshot_and_end_give_the_state_and_travel_on(bundle: Bundle) -> None:
    block = hosted(bundle, 1)
    for token in tokens(bundle, [TRAIN, SNAPSHOT, TRAIN, END], "block1"):
        block.admit(token)
    applied = [block.apply_next() for _ in range(4)]
    snapshot, end = applied[1].message, applied[3].message
    assert isinstance(snapshot, State)
    assert isinstance(end, State)
    assert (snapshot.sequence, snapshot.step, snapshot.final) == (1, 1, False)
    assert (end.sequence, end.step, end.final) == (3, 2, True)
    assert (snapshot.tensors["steps"], end.tensors["steps"]) == (1, 2)
    assert [a.onward.kind for a in applied if a.onward] == [TRAIN, SNAPSHOT, TRAIN, END]
    assert block.ended


def test_the_last_block_sends_nothing_on(bundle: Bundle) -> None:
    block = hosted(bundle, 2)
    for token in tokens(bundle, [TRAIN, END], "block2"):
        block.admit(token)
    assert [block.apply_next().onward for _ in range(2)] == [None, None]


@pytest.mark.parametrize("sequence", [1, 3, 5, -1])
def test_gaps_and_duplicates_are_refused(bundle: Bundle, sequence: int) -> None:
    block = hosted(bundle, 0)
    for token in tokens(bundle, [TRAIN, SNAPSHOT]):
        block.admit(token)
    with pytest.raises(LinkError, match=f"block0 expected token 2 and got token {sequence}") as caught:
        block.admit(Token(RUN, "block0", SNAPSHOT, sequence, 0))
    assert caught.value.exit_code == 7
    block.admit(Token(RUN, "block0", SNAPSHOT, 2, 0))


def test_nothing_follows_the_end(bundle: Bundle) -> None:
    block = hosted(bundle, 0)
    block.admit(Token(RUN, "block0", END, 0, 0))
    with pytest.raises(LinkError, match="expected nothing after END"):
        block.admit(Token(RUN, "block0", SNAPSHOT, 1, 0))


def _changed(token: Token, **changes: Any) -> Token:
    values = {**vars(token), **changes}
    tensors = {**token.tensors, **changes.get("tensors", {})}
    values["tensors"] = {name: value for name, value in tensors.items() if value is not None}
    return Token(**values)


@pytest.mark.parametrize(
    ("kind", "changes", "sentence"),
    [
        (TRAIN, {"tensors": {"x": np.zeros((3, 6), np.float32)}}, r"expected x as float32\[4, 6\] and got float32\[3, 6\]"),
        (TRAIN, {"tensors": {"x": np.zeros((4, 6), np.float16)}}, r"got float16\[4, 6\]"),
        (EVAL, {"tensors": {"y": np.zeros((4, 4), np.float32)}}, r"expected y as float32\[4, 3\]"),
        (TRAIN, {"tensors": {"y": None}}, "expected the tensors x and y and got x"),
        (TRAIN, {"tensors": {"z": np.zeros(1)}}, "expected the tensors x and y and got x, y, z"),
        (TRAIN, {"scalars": {}}, "expected a finite scalar 'lr' and got None"),
        (TRAIN, {"scalars": {"lr": float("nan")}}, "expected a finite scalar 'lr' and got nan"),
        (EVAL, {"count": 0}, "expected a count of 1 to 4 and got 0"),
        (EVAL, {"count": 5}, "expected a count of 1 to 4 and got 5"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(
    bundle: Bundle, kind: str, changes: dict[str, Any], sentence: str
) -> None:
    block, (token,) = hosted(bundle, 0), tokens(bundle, [kind])
    with pytest.raises(WireError, match=sentence):
        block.admit(_changed(token, **changes))
    assert not block.ready
    block.admit(token)  # the position in the stream is unharmed


KINDS = [TRAIN, TRAIN, EVAL, SNAPSHOT, TRAIN, EVAL, TRAIN, END]


def one_after_another(bundle: Bundle) -> dict[str, dict[str, Any]]:
    """The final state of every block when each block runs its whole stream before the next one starts."""
    stream, states = tokens(bundle, KINDS), {}
    for index in range(3):
        block = hosted(bundle, index)
        onward = []
        for token in stream:
            block.admit(token)
            applied = block.apply_next()
            onward.append(applied.onward)
            if isinstance(applied.message, State) and applied.message.final:
                states[block.name] = applied.message.tensors
        stream = [token for token in onward if token is not None]
    return states


@pytest.mark.parametrize("ahead", [1, 3, 8])
@pytest.mark.parametrize("local", [(0, 1, 2), (0, 2), (1,)])
def test_a_station_gives_the_same_bits_whatever_is_local_and_however_far_ahead_it_is_fed(
    bundle: Bundle, local: tuple[int, ...], ahead: int
) -> None:
    messages: list[Message] = []
    away: list[Token] = []
    here = BoardDataflow([hosted(bundle, i) for i in local], lambda token: away.append(token), messages.append)
    there = BoardDataflow([hosted(bundle, i) for i in range(3) if i not in local], lambda t: away.append(t), messages.append)
    stations = {f"block{i}": here if i in local else there for i in range(3)}
    stream = tokens(bundle, KINDS)
    while stream or away:
        fed, stream = stream[:ahead], stream[ahead:]
        for token in fed:
            stations["block0"].admit(token)
        moved = True
        while moved:
            moved = here.advance() | there.advance()
            while away:
                token = away.pop(0)
                stations[token.block].admit(token)
                moved = True
    here.flush()
    there.flush()
    assert here.ended
    assert there.ended or len(local) == 3
    final = {m.block: m.tensors for m in messages if isinstance(m, State) and m.final}
    assert state_sha256(final) == state_sha256(one_after_another(bundle))
    for block in ("block0", "block1", "block2"):
        order = [m.sequence for m in messages if isinstance(m, (Report, State)) and m.block == block]
        assert order == list(range(len(KINDS)))


def test_the_latest_waiting_block_goes_first(bundle: Bundle) -> None:
    messages: list[Message] = []
    station = BoardDataflow([hosted(bundle, 0), hosted(bundle, 1), hosted(bundle, 2)], lambda _: None, messages.append)
    for token in tokens(bundle, [TRAIN, TRAIN]):
        station.admit(token)
    while station.advance():
        pass
    station.flush()
    order = [(m.block, m.sequence) for m in messages if isinstance(m, Report)]
    assert order == [(f"block{block}", sequence) for sequence in range(2) for block in range(3)]


def test_a_token_for_a_block_elsewhere_is_refused(bundle: Bundle) -> None:
    station = BoardDataflow([hosted(bundle, 0)], lambda _: None, lambda _: None)
    with pytest.raises(WireError, match="a token for 'block1' came to a board that hosts block0"):
        station.admit(Token(RUN, "block1", END, 0, 0))


def test_closing_a_station_frees_its_runtimes(bundle: Bundle, tmp_path: Path) -> None:
    runtime = FakeRuntime(bundle.manifest.blocks[0], bundle.state("block0"))
    BoardDataflow([HostedBlock(RUN, runtime, bundle.manifest)], lambda _: None, lambda _: None).close()
    assert runtime.closed
