"""Samples drawn by weights of the user's own: how often each comes, which file or array has them, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebll.data import Dataset, LoadedData, load_data
from edgebll.data.batches import epoch_order
from edgebll.data.sampling import settled_sampling, with_weights
from edgebll.kernel.errors import ConfigError, DataError

COUNT = 60


def data(count: int = COUNT) -> Dataset:
    return Dataset("toy", np.zeros((count, 2), np.float32), np.arange(count) % 3, 3)


def saved(folder: Path, weights: object) -> str:
    np.save(folder / "w.npy", np.asarray(weights))
    return f"weights:{folder / 'w.npy'}"


def drawn(dataset: Dataset, sampling: str, epochs: int) -> np.ndarray:
    orders = [epoch_order(dataset, 10, 5, epoch, sampling)[0].ravel() for epoch in range(epochs)]
    return np.bincount(np.concatenate(orders), minlength=len(dataset))


def test_each_sample_comes_as_often_as_its_weight_says(tmp_path: Path) -> None:
    """Pearson's test, whose statistic has mean k and variance 2 k for k + 1 samples; numpy draws as a second judge."""
    weights = np.random.default_rng(0).gamma(1, 1, COUNT)
    weights[:5] = 0
    sampling = saved(tmp_path, 1e300 * weights)  # whose sum is no number
    counts = drawn(with_weights(data(), sampling, "toy", {}), sampling, 200)
    expected = 200 * COUNT * weights / weights.sum()
    assert counts[:5].sum() == 0, "what weighs nothing never comes"
    free = COUNT - 5 - 1
    numpys = np.random.default_rng(1).multinomial(200 * COUNT, weights / weights.sum())
    for found in (counts, numpys):
        statistic = (np.square(found - expected)[5:] / expected[5:]).sum()
        assert abs(statistic - free) < 5 * np.sqrt(2 * free)
    uniform = (np.square(counts - counts.mean()) / counts.mean()).sum()
    assert uniform > 100 * free, "the test tells weights apart"


def test_draws_follow_from_seed_and_epoch_alone(tmp_path: Path) -> None:
    sampling = saved(tmp_path, np.arange(12))
    dataset = with_weights(data(12), sampling, "toy", {})
    first = epoch_order(dataset, 4, 3, 0, sampling)[0]
    places = 66 * np.random.RandomState([3, 0]).random_sample(12)  # of a line on which sample k takes k of 66
    assert first.ravel().tolist() == [next(k for k in range(12) if place < k * (k + 1) / 2) for place in places]
    assert np.array_equal(first, epoch_order(dataset, 4, 3, 0, settled_sampling(sampling))[0])
    assert not np.array_equal(first, epoch_order(dataset, 4, 3, 1, sampling)[0])


def test_a_draw_at_the_very_end_is_of_a_sample_that_weighs_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sampling = saved(tmp_path, [1, 1, 0, 0])
    dataset = with_weights(data(4), sampling, "toy", {})

    class _Last:
        @staticmethod
        def random_sample(count: int) -> np.ndarray:
            return np.ones(count)

    monkeypatch.setattr("edgebll.data.batches._random", lambda seed, epoch: _Last)
    assert epoch_order(dataset, 4, 0, 0, sampling)[0].tolist() == [[1, 1, 1, 1]]


def arrays(folder: Path, **more: Any) -> Path:
    x = np.arange(20, dtype=np.float32)[:, None]
    np.savez(folder / "d.npz", x=x, y=np.arange(20) % 2, **more)
    return folder / "d.npz"


def weight_by_sample(loaded: LoadedData) -> dict[int, float]:
    train = loaded.train
    assert train.weights is not None
    values = train.inputs(np.arange(len(train)))[:, 0].astype(int).tolist()
    return dict(zip(values, (20 * train.weights).round(6).tolist(), strict=True))


@pytest.mark.parametrize("limit", [None, 5])
def test_weights_are_in_the_order_of_the_file_however_it_is_split(tmp_path: Path, limit: int | None) -> None:
    """Sample k has the value k, and weighs k + 1: 20 of sample 19, if that is for training."""
    path = arrays(tmp_path, importance=np.arange(1, 21))
    by_name = load_data(str(path), None, limit, {}, None, "weights:importance")
    found = weight_by_sample(by_name)
    largest = max(weight_by_sample(load_data(str(path), None, None, {}, None, "weights:importance")))
    assert len(found) == (limit or 16)
    assert found == pytest.approx({value: 20 * (value + 1) / (largest + 1) for value in found})
    by_file = load_data(str(path), None, limit, {}, None, saved(tmp_path, np.arange(1, 21)))
    assert weight_by_sample(by_file) == found


def test_training_samples_that_the_data_name_may_have_weights_of_their_own(tmp_path: Path) -> None:
    x, y = np.arange(8, dtype=np.float32)[:, None], np.arange(8) % 2
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x[:4], y_test=y[:4])
    for count in (8, 12):
        loaded = load_data(str(tmp_path / "d.npz"), None, None, {}, None, saved(tmp_path, np.arange(1, count + 1)))
        assert weight_by_sample(loaded) == pytest.approx({value: 20 * (value + 1) / 8 for value in range(8)})
    with pytest.raises(DataError, match=r"one number for each sample in the order of .*, \(12,\), not int64 of shape \(4,\)"):
        load_data(str(tmp_path / "d.npz"), None, None, {}, None, saved(tmp_path, np.ones(4, int)))


def test_a_column_of_a_table_weighs_rows_and_windows(tmp_path: Path) -> None:
    lines = ["a,w,label", *(f"{row},{row},{row % 2}" for row in range(20))]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    options = {"columns": "a", "normalize": "no", "test": 0.25}
    rows = load_data(str(tmp_path / "t.csv"), None, None, options, None, "weights:w")
    found = weight_by_sample(rows)
    assert found == pytest.approx({row: 20 * row / max(found) for row in found})
    windows = load_data(str(tmp_path / "t.csv"), None, None, {**options, "window": 2}, None, "weights:w").train
    assert windows.weights is not None
    last = windows.inputs(np.arange(len(windows)))[:, 0, -1]
    assert windows.weights.tolist() == pytest.approx((last / last.max()).tolist()), "a window weighs as its last row"
    with pytest.raises(DataError, match="has no column 'v'; it has a, w, label"):
        load_data(str(tmp_path / "t.csv"), None, None, options, None, "weights:v")


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ([1.0, -1.0, 1.0], "must be finite and not below 0, but one of a training sample is -1"),
        ([1.0, np.nan, 1.0], "must be finite and not below 0, but one of a training sample is nan"),
        ([1.0, np.inf, 1.0], "must be finite and not below 0, but one of a training sample is inf"),
        ([0, 0, 0], "are 0 for every training sample, so none can be drawn"),
        ([1.0, 1.0], r"must be one number for each sample in the order of toy, \(3,\), not float64 of shape \(2,\)"),
        ([[1.0], [1.0], [1.0]], r"must be one number for each sample .*, \(3,\), not float64 of shape \(3, 1\)"),
        (["a", "b", "c"], "must be numbers, not <U1"),
    ],
)
def test_what_are_no_weights_is_refused(tmp_path: Path, weights: object, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        with_weights(data(3), saved(tmp_path, weights), "toy", {})


def test_files_that_are_missing_or_have_changed_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"nothing.npy cannot be read \(No such file or directory\); give a .npy file"):
        settled_sampling("weights:nothing.npy")
    saved(tmp_path, [1, 2, 3])
    monkeypatch.chdir(tmp_path)
    settled = settled_sampling("weights:w.npy")
    assert settled.startswith(f"weights:{tmp_path}/w.npy#")
    assert settled_sampling(settled) == settled
    assert with_weights(data(3), settled, "toy", {}).weights is not None
    saved(tmp_path, [1, 2, 4])
    with pytest.raises(DataError, match="have changed since the run was told them; put the file back as it was"):
        with_weights(data(3), settled, "toy", {})
    (tmp_path / "w.npy").write_bytes(b"no array")
    with pytest.raises(DataError, match=r"w\.npy cannot be read as an array"):
        with_weights(data(3), "weights:w.npy", "toy", {})


def test_samplings_that_cannot_be_are_refused(tmp_path: Path) -> None:
    for word in ("weights", "weights:", "heavy"):
        with pytest.raises(ConfigError, match=r"must be one of uniform, balanced, weights:FILE\.npy or weights:NAME"):
            settled_sampling(word)
    with pytest.raises(DataError, match="only own arrays and tables have some by name"):
        with_weights(data(3), "weights:importance", "digits", {})
    with pytest.raises(DataError, match="has no array 'importance'; it has x, y"):
        load_data(str(arrays(tmp_path)), None, None, {}, None, "weights:importance")
    arriving = replace(data(3), arriving=True)
    with pytest.raises(DataError, match="come while the run goes on, so none can be drawn by weights"):
        with_weights(arriving, saved(tmp_path, [1, 1, 1]), "toy", {})
    first_only = replace(data(3), weights=np.zeros(3))
    with pytest.raises(DataError, match=r"all 3 training samples of toy have the weight 0, so none .* raise the limit"):
        epoch_order(first_only, 2, 0, 0, saved(tmp_path, [0, 0, 1]))
