"""Arrays of numpy: in one .npz, or mapped from a folder of .npy."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.own_files import pixels

from edgebll.data import load_data, load_dataset
from edgebll.kernel.errors import DataError

Y = np.arange(40) % 4


def images(count: int = 40) -> Any:
    return np.stack([pixels(seed, 6, 5) for seed in range(count)])


def test_floats_stay_as_they_are_unless_told_otherwise(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(3, 2, (40, 7))
    np.savez(tmp_path / "data.npz", x=x, y=Y)
    data = load_data(str(tmp_path / "data.npz"))
    whole = np.concatenate([part.inputs(np.arange(len(part))) for part in data.splits])
    assert whole.dtype == np.float32
    assert {row.tobytes() for row in whole} == {row.tobytes() for row in x.astype(np.float32)}
    assert [len(part) for part in data.splits] == [32, 8]
    normal = load_data(str(tmp_path / "data.npz"), options={"normalize": "yes"}).train.inputs(np.arange(32))
    assert np.allclose(normal.mean(0), 0, atol=1e-4)
    assert np.allclose(normal.std(0), 1, atol=1e-4)


@pytest.mark.parametrize("layout", ["channels last", "channels first", "grey"])
def test_bytes_are_images(tmp_path: Path, layout: str) -> None:
    last = images()
    x = {"channels last": last, "channels first": last.transpose(0, 3, 1, 2), "grey": last[..., 0]}[layout]
    np.save(tmp_path / "x.npy", np.ascontiguousarray(x))
    np.save(tmp_path / "y.npy", Y)
    data = load_data(str(tmp_path))
    first = last[..., :1] if layout == "grey" else last
    assert data.train.samples.dtype == np.uint8
    assert data.train.input_shape == ((1 if layout == "grey" else 3), 6, 5)
    found = {image.tobytes() for part in data.splits for image in part.samples}
    assert found == {np.ascontiguousarray(image.transpose(2, 0, 1)).tobytes() for image in first}
    assert abs(float(data.train.inputs(np.arange(32)).mean())) < 1e-3


def test_an_array_on_the_disk_is_mapped_not_read(tmp_path: Path) -> None:
    """A sparse file of 64 MiB: only the rows that are asked for take memory."""
    x = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.uint8, shape=(1 << 10, 1 << 16, 1))
    x[5, 0] = 7
    del x
    np.save(tmp_path / "y.npy", np.arange(1 << 10) % 2)
    tracemalloc.start()
    try:
        dataset = load_dataset(str(tmp_path), "test", options={"test": 1, "normalize": "no"})
        batch = dataset.samples[np.arange(8)]
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert batch.shape == (8, 1, 1 << 16, 1)


def test_arrays_for_training_and_evaluation_are_respected(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(40, 7)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x_train=x[:30], y_train=Y[:30], x_val=x[30:], y_val=Y[30:])
    data = load_data(str(tmp_path / "data.npz"))
    assert {row.tobytes() for row in data.test.inputs(np.arange(10))} == {row.tobytes() for row in x[30:]}


def test_labels_may_be_names_or_whole_floats(tmp_path: Path) -> None:
    x = np.zeros((4, 2))
    np.savez(tmp_path / "names.npz", x=x, y=np.array(["b", "a", "c", "a"]))
    np.savez(tmp_path / "floats.npz", x=x, y=np.array([1.0, 0.0, 2.0, 0.0]))
    for name, classes in (("names", ["a", "b", "c"]), ("floats", ["0", "1", "2"])):
        data = load_data(str(tmp_path / f"{name}.npz"), options={"test": 0.25})
        assert data.options["classes"] == classes
        assert sorted([*data.train.labels, *data.test.labels]) == [0, 0, 1, 2]


@pytest.mark.parametrize(
    ("y", "options", "task", "outputs"),
    [
        (np.linspace(0, 1, 40), {}, "regression", (1,)),
        (np.zeros((40, 3)), {}, "regression", (3,)),
        (np.arange(40) % 5, {"labels": "numbers"}, "regression", (1,)),
        (np.arange(80).reshape(40, 2) % 5, {}, "classification", (2, 5)),
        (np.arange(40 * 7).reshape(40, 7, 1) % 2, {}, "segmentation", (2, 7, 1)),
        (None, {}, "reconstruction", (7,)),
        (Y, {"labels": "none"}, "reconstruction", (7,)),
        (np.zeros(40, int), {"labels": "none"}, "reconstruction", (7,)),
    ],
)
def test_labels_suggest_the_task(tmp_path: Path, y: Any, options: dict[str, str], task: str, outputs: tuple[int, ...]) -> None:
    arrays = {"x": np.random.default_rng(0).normal(size=(40, 7)), **({} if y is None else {"y": y})}
    np.savez(tmp_path / "data.npz", **arrays)
    data = load_data(str(tmp_path / "data.npz"), options=options)
    assert (data.train.task.name, data.train.outputs) == (task, outputs)
    if task == "regression":
        whole = np.concatenate([part.targets(np.arange(len(part))) for part in data.splits])
        assert sorted(whole.ravel()) == sorted(y.astype(np.float32).ravel())


@pytest.mark.parametrize(
    ("arrays", "options", "reason"),
    [
        ({"a": np.zeros((4, 2))}, {}, "needs arrays x and y, or x_train, y_train, x_test and y_test, but has a"),
        ({"x": np.zeros((4, 2)), "y": np.zeros(3, int)}, {}, "4 samples in x, but 3 labels in y"),
        (
            {"x": np.zeros((4, 2)), "y": np.array([0, 1, -1, 1])},
            {},
            "but that of sample 2 is -1; if it stands for no label, add",
        ),
        ({"x": np.zeros((4, 2)), "y": np.array([0, 1, 9, 1])}, {}, "labels must lie in 0..3, but that of sample 2 is 9"),
        (
            {"x": np.zeros((4, 2)), "y": np.array([0, 1, 2**63 + 5, 1], np.uint64)},
            {},
            "but that of sample 2 is 9223372036854775813;",
        ),
        ({"x": np.zeros((4, 2)), "y": np.array([0, 1e300, 0, 1])}, {}, r"but that of sample 1 is 1e\+300;"),
        ({"x": np.zeros((4, 2)), "y": np.arange(4)}, {"classes": "a,b,c"}, "in 0..2, but that of sample 3 is 3"),
        (
            {"x": np.zeros((4, 2)), "y": np.array([0, 0.5, 1, 1])},
            {"labels": "classes"},
            "labels must be whole numbers from 0 or",
        ),
        ({"x": np.zeros((4, 2)), "y": np.array([0, np.nan, 1, 1])}, {}, "the label of sample 1 is not a finite number"),
        (
            {"x": np.zeros((2, 2)), "y": np.array(["1", "b"])},
            {"labels": "numbers"},
            "labels must be numbers, but could not convert",
        ),
        ({"x": np.zeros((4, 2))}, {"labels": "classes"}, "has no labels, but the data option labels is classes"),
        ({"x": np.array([[1.0], [2.0], [np.nan], [0.0]]), "y": np.arange(4) % 2}, {}, "not finite in sample 2"),
        ({"x": np.array([[1.0], [-1e39], [2.0], [0.0]]), "y": np.arange(4) % 2}, {}, "not finite in sample 1"),
        ({"x": np.zeros((4, 2)), "y": np.array([0.5, 1e39, 1, 1])}, {}, "the label of sample 1 is not a finite number"),
        ({"x": np.array([["a"], ["b"]]), "y": np.arange(2)}, {}, "must be numbers"),
        ({"x": np.zeros(4), "y": np.arange(4)}, {}, r"must be numbers \(samples, ...\), not float64 \(4,\)"),
        ({"x": np.zeros((4, 2)), "y": np.zeros(4, int)}, {}, "one class only, 0"),
        ({"x": np.zeros((4, 2)), "y": np.array(1)}, {}, r"labels must be \(samples, ...\), .* not y \(\); mend them"),
        (
            {"x_train": np.zeros((4, 2)), "y_train": np.arange(4), "x_test": np.zeros((4, 2)), "y_test": np.eye(4)},
            {},
            r"all of one shape, not y_train \(4,\) and y_test \(4, 4\)",
        ),
        (
            {"x_train": np.zeros((4, 2)), "y_train": np.arange(4), "x_test": np.zeros((4, 3)), "y_test": np.arange(4)},
            {},
            "must be of one shape and type",
        ),
    ],
)
def test_wrong_arrays_are_refused(tmp_path: Path, arrays: dict[str, Any], options: dict[str, str], reason: str) -> None:
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(DataError, match=reason):
        load_data(str(tmp_path / "data.npz"), options=options)


def test_damaged_files_and_pickles_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data.npz").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match=r"data\.npz cannot be read as arrays"):
        load_data(str(tmp_path / "data.npz"))
    np.save(tmp_path / "x.npy", np.array([{}, {}], object), allow_pickle=True)
    np.save(tmp_path / "y.npy", np.arange(2))
    with pytest.raises(DataError, match=r"x\.npy cannot be read as an array"):
        load_data(str(tmp_path))
