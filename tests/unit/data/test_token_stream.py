"""The stream of a run: order, counts and content."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.messages import same

from edgebll.data import Dataset
from edgebll.data.token_stream import StreamSpec, stream
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.lr_schedule import Schedule
from edgebll.kernel.wire import END, EVAL, SNAPSHOT, TRAIN

#: Training and test samples, batch size, epochs, steps between snapshots, whether to evaluate.
STREAMS = (st.integers(4, 30), st.integers(1, 20), st.integers(1, 4), st.integers(0, 3), st.integers(0, 5), st.booleans())


def dataset(count: int) -> Dataset:
    images = np.arange(count, dtype=np.float32).reshape(count, 1, 1, 1)
    return Dataset("counting", images, np.arange(count, dtype=np.int64) % 3, 3)


@given(*STREAMS)
def test_every_sample_once_an_epoch_in_one_sequence(
    train: int, test: int, batch: int, epochs: int, snapshot_every: int, evaluate: bool
) -> None:
    spec = StreamSpec("r", "block0", batch, epochs, Schedule(0.1), 7, evaluate, snapshot_every)
    tokens = list(stream(spec, dataset(train), dataset(test)))
    assert [token.sequence for token in tokens] == list(range(len(tokens)))
    assert len(tokens) == spec.total_tokens(dataset(train), dataset(test))
    assert [token.kind for token in tokens].count(END) == 1
    assert tokens[-1].kind == END
    trained = [token for token in tokens if token.kind == TRAIN]
    assert [token.step for token in trained] == list(range(epochs * (train // batch)))
    for epoch in range(epochs):
        steps = trained[epoch * (train // batch) : (epoch + 1) * (train // batch)]
        seen = np.concatenate([token.tensors["x"].ravel() for token in steps])
        assert len(set(seen.tolist())) == len(seen) == (train // batch) * batch
    evaluated = [token for token in tokens if token.kind == EVAL]
    assert sum(token.count for token in evaluated) == (test * max(1, epochs) if evaluate else 0)
    snapshots = [token.step for token in tokens if token.kind == SNAPSHOT]
    assert snapshots == [s for s in range(1, len(trained) + 1) if snapshot_every and s % snapshot_every == 0]


@given(
    st.integers(4, 30), st.integers(1, 20), st.integers(1, 4), st.integers(0, 3), st.integers(0, 5), st.booleans(), st.data()
)
def test_the_rest_of_a_stream_is_a_function_of_the_step(
    train: int, test: int, batch: int, epochs: int, snapshot_every: int, evaluate: bool, data: st.DataObject
) -> None:
    """What follows the snapshot of a step is what follows it in the whole stream, to the last bit."""
    spec = StreamSpec("r", "block0", batch, epochs, Schedule(0.1), 7, evaluate, snapshot_every)
    whole = list(stream(spec, dataset(train), dataset(test)))
    trained = [index for index, token in enumerate(whole) if token.kind == TRAIN]
    start = data.draw(st.integers(0, len(trained)))
    first = trained[start - 1] + 1 if start else 0
    first += bool(start) and whole[first].kind == SNAPSHOT
    rest = list(stream(spec, dataset(train), dataset(test), start))
    assert [token.sequence for token in rest] == list(range(len(rest)))
    for token, expected in zip(rest, whole[first:], strict=True):
        assert same(token, replace(expected, sequence=token.sequence, tensors=expected.tensors))


@pytest.mark.parametrize("start", [-1, 7])
def test_a_step_the_run_does_not_have_is_refused(start: int) -> None:
    with pytest.raises(ConfigError, match="has 6 steps"):
        next(stream(StreamSpec("r", "block0", 4, 2, Schedule(0.1)), dataset(12), dataset(3), start))


def test_the_rate_follows_the_schedule_and_labels_fit() -> None:
    schedule = Schedule(0.5, warmup_steps=2)
    tokens = list(stream(StreamSpec("r", "block0", 4, 2, schedule, evaluate=False), dataset(12), dataset(3)))
    trained = tokens[:-1]
    assert [token.scalars["lr"] for token in trained] == [schedule.rate(step, 6) for step in range(6)]
    for token in trained:
        assert np.array_equal(token.tensors["y"].argmax(1), token.tensors["x"].ravel().astype(int) % 3)


def test_negative_counts_are_refused() -> None:
    with pytest.raises(ConfigError, match="must not be negative"):
        StreamSpec("r", "block0", 4, -1, Schedule(0.1))


@given(st.integers(4, 12), st.integers(1, 3), st.integers(1, 4), st.integers(0, 5), st.booleans(), st.data())
def test_samples_that_are_cut_in_time(
    train: int, batch: int, chunks: int, snapshot_every: int, static: bool, data: st.DataObject
) -> None:
    """Chunks in order make each batch, `reset` says where samples begin, and the rest is a function of the step."""
    shape = (train, 3) if static else (train, 2 * chunks, 3)
    samples = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    timed = Dataset("timed", samples, np.arange(train, dtype=np.int64) % 3, 3)
    how = (batch, 2, Schedule(0.1), 7, False, snapshot_every)
    spec = StreamSpec("r", "block0", *how, chunks=chunks, static=static)
    tokens = list(stream(spec, timed, timed))
    assert len(tokens) == spec.total_tokens(timed, timed)
    steps = [token for token in tokens if token.kind == TRAIN]
    whole = [t for t in stream(StreamSpec("r", "block0", *how), timed, timed) if t.kind == TRAIN]
    assert [token.step for token in steps] == list(range(len(whole) * chunks))
    for index, expected in enumerate(whole):
        parts = steps[index * chunks : (index + 1) * chunks]
        seen = [token.tensors["x"] for token in parts]
        assert (
            all(np.array_equal(x, expected.tensors["x"]) for x in seen)
            if static
            else np.array_equal(np.concatenate(seen, 1), expected.tensors["x"])
        )
        assert all(np.array_equal(token.tensors["y"], expected.tensors["y"]) for token in parts)
        if chunks > 1:
            assert [token.scalars["reset"] for token in parts] == [1.0] + [0.0] * (chunks - 1)
    start = data.draw(st.integers(0, len(steps)))
    rest = [token for token in stream(spec, timed, timed, start) if token.kind == TRAIN]
    assert [(t.step, t.scalars) for t in rest] == [(t.step, t.scalars) for t in steps[start:]]
    assert all(np.array_equal(t.tensors["x"], u.tensors["x"]) for t, u in zip(rest, steps[start:], strict=True))
