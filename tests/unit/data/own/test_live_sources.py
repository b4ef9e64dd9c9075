"""Samples that come while a run goes on: recorded before anybody has them, waited for, and never taken twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.gated_source import CLASSES, Gate, pairs, source
from support.own_files import pixels

from edgebll.data import LiveSource, epoch_order, load_data
from edgebll.data.own.live_reading import attached
from edgebll.data.own.sample_record import FACTS, INDEX, SAMPLES, create_record, open_record
from edgebll.kernel.errors import ConfigError, DataError, StorageError


def test_samples_are_waited_for_in_their_order(tmp_path: Path) -> None:
    gate = Gate(free=7)
    with attached(source(tmp_path, gate)) as name:
        data = load_data(name)
        assert [len(part) for part in data.splits] == [16, 4]
        assert data.train.inputs(np.arange(5))[:, 0].tolist() == [0, 1, 2, 3, 5]
        assert data.test.inputs(np.arange(1))[:, 0].tolist() == [4]
        first, second = np.arange(5), np.arange(5, 8)
        assert data.train.ready(first)
        assert not data.train.ready(second)
        waited: list[Any] = []
        thread = threading.Thread(target=lambda: waited.append(data.train.inputs(second)))
        thread.start()
        gate.opened.set()
        thread.join(20)
        assert waited[0][:, 0].tolist() == [6, 7, 8]
        assert data.train.labels[np.arange(16)].tolist() == [0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 0]
    assert gate.taken == 20


def test_the_first_epoch_is_in_order_and_the_next_is_shuffled(tmp_path: Path) -> None:
    with attached(source(tmp_path)) as name:
        train = load_data(name).train
        assert epoch_order(train, 4, 0, 0)[0].tolist() == np.arange(16).reshape(4, 4).tolist()
        assert sorted(epoch_order(train, 4, 0, 1)[0].ravel()) == list(range(16))
        assert epoch_order(train, 4, 0, 1)[0].ravel().tolist() != list(range(16))


def test_what_came_is_read_again_and_gone_on_with(tmp_path: Path) -> None:
    gate = Gate(free=7)
    live = source(tmp_path, gate)
    with attached(live) as name:
        options = load_data(name).options
        live.arriving().wait_for(np.array([6]))
    gate.opened.set()
    assert open_record(tmp_path / "record").rows == 7
    with attached(source(tmp_path, lambda: pairs(100))) as name:
        data = load_data(name, options=options)
        assert data.train.inputs(np.arange(8))[:, 0].tolist() == [0, 1, 2, 3, 5, 6, 100, 101]
        assert data.options == options
    whole = load_data(str(tmp_path / "record"), options=options)
    assert whole.train.inputs(np.arange(8))[:, 0].tolist() == [0, 1, 2, 3, 5, 6, 100, 101]


def test_a_record_alone_is_a_data_set_of_what_it_has(tmp_path: Path) -> None:
    gate = Gate(free=10)
    live = source(tmp_path, gate)
    with attached(live) as name:
        options = load_data(name).options
        live.arriving().wait_for(np.array([9]))
    gate.opened.set()
    data = load_data(str(tmp_path / "record"))
    assert [len(part) for part in data.splits] == [8, 2]
    half = load_data(str(tmp_path / "record"), options={"count": 5, "test": 0.25})
    assert [len(part) for part in half.splits] == [4, 1]
    begun = load_data(str(tmp_path / "record"), options=options).train
    assert len(begun) == 16
    with pytest.raises(DataError, match="has 10 of 20 samples, and its live source is not there"):
        begun.inputs(np.arange(9))
    with pytest.raises(DataError, match="one of 20 samples, but the data option count is 21"):
        load_data(str(tmp_path / "record"), options={"count": 21})
    assert data.train.arriving
    other = create_record(
        tmp_path / "other", open_record(tmp_path / "record").facts.__class__("0" * 32, "float32", (2,), CLASSES, 20)
    )
    assert other.rows == 0
    with pytest.raises(DataError, match="have changed since the training began"):
        load_data(str(tmp_path / "other"), options=options)


def test_a_record_that_was_hardly_begun_is_begun_again(tmp_path: Path) -> None:
    """Whoever began it was killed before it said what a sample is: there is nothing to lose, unless there is."""
    folder = tmp_path / "record"
    folder.mkdir()
    (folder / SAMPLES).touch()
    (folder / f".{FACTS}.0123456789abcdef.partial").write_text("{")
    with attached(source(tmp_path)) as name:
        assert load_data(name).train.inputs(np.arange(3))[:, 0].tolist() == [0, 1, 2]
    (folder / FACTS).unlink()
    kept = (folder / SAMPLES).read_bytes()
    with attached(source(tmp_path)) as name, pytest.raises(StorageError, match="is no record, and not empty"):
        load_data(name)
    assert (folder / SAMPLES).read_bytes() == kept != b""


@pytest.mark.parametrize(("name", "cut"), [(SAMPLES, 3), (INDEX, 5), (INDEX, 12), (SAMPLES, 8)])
def test_what_a_killed_process_left_behind_is_cut_off(tmp_path: Path, name: str, cut: int) -> None:
    live = source(tmp_path)
    with attached(live):
        live.arriving().wait_for(np.array([19]))
    path = tmp_path / "record" / name
    path.write_bytes(path.read_bytes()[:-cut])
    record_again = open_record(tmp_path / "record")
    assert record_again.rows == 19
    record_again.begin_appending()
    record_again.append(np.array([5, 5], np.float32), 1)
    record_again.sync()
    with pytest.raises(StorageError, match="another process records"):
        open_record(tmp_path / "record").begin_appending()
    record_again.close()
    found = open_record(tmp_path / "record")
    assert found.samples(np.array([18, 19])).tolist() == [[18, -18], [5, 5]]
    assert found.labels(np.array([18, 19])).tolist() == [0, 1]


def test_a_damaged_sample_is_named(tmp_path: Path) -> None:
    with attached(source(tmp_path)) as name:
        load_data(name).train.inputs(np.arange(16))
    path = tmp_path / "record" / SAMPLES
    data = bytearray(path.read_bytes())
    data[5 * 8] ^= 1
    path.write_bytes(bytes(data))
    train = load_data(str(tmp_path / "record")).train
    assert train.inputs(np.arange(4)).shape == (4, 2)
    with pytest.raises(DataError, match=r"sample 5 of the record .* is damaged"):
        train.inputs(np.array([4]))


def test_images_come_with_their_channels_first(tmp_path: Path) -> None:
    images = [(pixels(seed, 4, 5), ("on", "off")[seed % 2]) for seed in range(10)]
    live = LiveSource(images, tmp_path / "record", count=10, classes=CLASSES)
    with attached(live) as name:
        data = load_data(name)
        assert data.train.input_shape == (3, 4, 5)
        assert np.array_equal(data.train.samples[np.arange(1)][0], pixels(0, 4, 5).transpose(2, 0, 1))
        assert np.allclose(data.train.inputs(np.arange(1))[0], pixels(0, 4, 5).transpose(2, 0, 1) / 255)
        assert data.train.labels[np.arange(3)].tolist() == [1, 0, 1]


def failing(after: int = 2, error: BaseException | None = None) -> Iterator[Any]:
    for number in range(after):
        yield np.zeros(2), number
    raise error or OSError("the cable is out")


def unplugged() -> Iterator[Any]:
    raise OSError("the cable is out")


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (failing, "has 2 of 20 samples, and its live source failed: the cable is out; resume with the live source"),
        (
            lambda: failing(1, SystemExit(3)),
            r"has 1 of 20 samples, and its live source failed: it called sys\.exit\(3\); resume",
        ),
        (lambda: failing(1, KeyboardInterrupt()), "has 1 of 20 samples, and its live source failed: KeyboardInterrupt; resume"),
        ([(np.zeros(2), 0)] * 3, "has 3 of 20 samples, and its live source is at its end"),
        ([(np.zeros(2), 0), (np.zeros(3), 0)], r"sample 1 is float32 \(3,\), not float32 \(2,\)"),
        ([(np.zeros(2), 0), (np.zeros(2), 2)], r"sample 1: labels must lie in 0\.\.1"),
        ([(np.zeros(2), 0), np.zeros(2)], r"sample 1 must be a pair"),
        ([(np.zeros(2), 0), (np.array([0, np.nan]), 0)], "sample 1 has a number that is not finite"),
    ],
)
def test_a_source_that_fails_is_told_of(tmp_path: Path, samples: Any, reason: str) -> None:
    with attached(source(tmp_path, samples)) as name:
        train = load_data(name).train
        with pytest.raises(DataError, match=reason):
            train.inputs(np.arange(16))


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        ([], "did not come: the source is at its end"),
        ([(np.zeros(2), "red")], "the label red of sample 0 is none of the classes off, on"),
        ([(object(), 0)], "must be numbers of one shape"),
        (unplugged, "has 0 of 20 samples, and its live source failed: the cable is out; mend the source, and train again"),
        (lambda: failing(0), "has 0 of 20 samples, and its live source failed: the cable is out; mend the source"),
        (lambda: failing(0, ValueError("no\nframe")), "live source failed: no frame; mend the source"),
        (lambda: failing(0, SystemExit(3)), r"has 0 of 20 samples, and its live source failed: it called sys\.exit\(3\); mend"),
    ],
)
def test_a_first_sample_that_is_none_leaves_no_record(tmp_path: Path, samples: Any, reason: str) -> None:
    with attached(source(tmp_path, samples)) as name, pytest.raises(DataError, match=reason):
        load_data(name)
    assert not (tmp_path / "record").exists()


def test_records_of_other_samples_and_other_folders_are_refused(tmp_path: Path) -> None:
    with attached(source(tmp_path)) as name:
        load_data(name)
        with pytest.raises(ConfigError, match="no mean yet; give the data options mean and std"):
            load_data(name, options={"normalize": "yes"})
        with pytest.raises(DataError, match="has the classes off, on, which cannot be changed"):
            load_data(name, options={"classes": "on,off"})
        with pytest.raises(DataError, match="has too few samples, 20, for test samples"):
            load_data(name, options={"test": 0.01})
    with (
        attached(source(tmp_path, count=30)) as name,
        pytest.raises(DataError, match="one of 20 samples of off, on, but the source has 30"),
    ):
        load_data(name)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").touch()
    taken = LiveSource(pairs, tmp_path / "taken", count=5, classes=CLASSES)
    with attached(taken) as name, pytest.raises(StorageError, match="is no record, and not empty"):
        load_data(name)
    with pytest.raises(ConfigError, match="a count of at least 1, and no class or two"):
        LiveSource(pairs, tmp_path / "x", count=0, classes=CLASSES)


def test_samples_without_labels_are_to_be_made_again(tmp_path: Path) -> None:
    live = LiveSource(((x, None) for x, _ in pairs()), tmp_path / "record", count=10, classes=())
    with attached(live) as name:
        data = load_data(name)
        assert (data.train.task.name, data.train.outputs) == ("reconstruction", (2,))
        assert np.array_equal(data.train.targets(np.arange(3)), data.train.inputs(np.arange(3)))
    labelled = LiveSource(pairs, tmp_path / "other", count=10)
    with attached(labelled) as name, pytest.raises(DataError, match="has the label 0, but the source was made without classes"):
        load_data(name)
