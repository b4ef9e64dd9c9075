"""Samples of several inputs: from files and programs, as a data set gives them, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebll.data import Dataset, load_data
from edgebll.data.data_report import check_data
from edgebll.data.example_samples import training_samples
from edgebll.data.own.live_reading import attached
from edgebll.data.own.live_source import LiveSource
from edgebll.data.own.python_samples import gathered
from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.spec.manifest import TensorSpec

COUNT = 20
IMAGE = np.arange(COUNT * 9, dtype=np.float32).reshape(COUNT, 1, 3, 3)
READINGS = np.arange(COUNT * 2, dtype=np.float64).reshape(COUNT, 2)
MASK = np.arange(COUNT * 4).reshape(COUNT, 4) % 3 > 0
LABELS = np.arange(COUNT) % 2


def same_samples(dataset: Dataset) -> None:
    """Each sample's readings and mask are those that its image has in the arrays."""
    rows = np.arange(len(dataset))
    x, side = dataset.inputs(rows), dataset.side_inputs(rows)
    places = (x[:, 0, 0, 0] / 9).astype(int)
    assert {name: value.dtype.name for name, value in side.items()} == {"readings": "float32", "mask": "bool"}
    np.testing.assert_array_equal(side["readings"], READINGS[places])
    np.testing.assert_array_equal(side["mask"], MASK[places])
    assert dataset.side_specs == (TensorSpec("mask", "bool", (4,)), TensorSpec("readings", "float32", (2,)))


@pytest.mark.parametrize("limit", [None, 6])
@pytest.mark.parametrize(
    ("names", "inputs"),
    [
        (("x", "x.readings", "x.mask"), ""),
        (("x", "readings", "mask"), "readings,mask"),
        (("photo", "readings", "mask"), "photo,readings,mask"),
    ],
)
def test_arrays_of_files_stay_side_by_side(tmp_path: Path, names: tuple[str, ...], inputs: str, limit: int | None) -> None:
    arrays: dict[str, Any] = dict(zip(names, (IMAGE, READINGS, MASK), strict=True))
    np.savez(tmp_path / "d.npz", y=LABELS, other=np.zeros(3), **arrays)
    options = {"inputs": inputs} if inputs else {}
    loaded = load_data(str(tmp_path / "d.npz"), None, limit, options)
    assert (len(loaded.train), len(loaded.test)) == (limit or 16, 4)
    for part in loaded.splits:
        same_samples(part)
    assert loaded.options.get("inputs", []) == [name for name in inputs.split(",") if name]
    (tmp_path / "folder").mkdir()
    for name, array in {**arrays, "y": LABELS}.items():
        np.save(tmp_path / "folder" / f"{name}.npy", array)
    same_samples(load_data(str(tmp_path / "folder"), None, limit, options).train)


def test_arrays_of_parts_stay_side_by_side(tmp_path: Path) -> None:
    parts: dict[str, Any] = {}
    for word, rows in (("train", slice(0, 12)), ("test", slice(12, None))):
        parts |= {f"x_{word}": IMAGE[rows], f"x_{word}.readings": READINGS[rows], f"mask_{word}": MASK[rows]}
        parts[f"y_{word}"] = LABELS[rows]
    np.savez(tmp_path / "d.npz", **parts)
    loaded = load_data(str(tmp_path / "d.npz"), options={"inputs": "mask"})
    assert (len(loaded.train), len(loaded.test)) == (12, 8)
    for part in loaded.splits:
        same_samples(part)
    np.savez(tmp_path / "d.npz", **{**parts, "mask_test": MASK[12:, :2]})
    with pytest.raises(DataError, match="side inputs for training and for evaluation must be the same, of one shape and type"):
        load_data(str(tmp_path / "d.npz"), options={"inputs": "mask"})


DICTIONARIES = [({"photo": IMAGE[i], "readings": READINGS[i], "mask": MASK[i]}, int(LABELS[i])) for i in range(COUNT)]


@pytest.mark.parametrize(
    "value",
    [
        DICTIONARIES,
        [({"readings": d["readings"], "x": d["photo"], "mask": d["mask"]}, label) for d, label in DICTIONARIES],
        {"x": {"photo": IMAGE, "readings": READINGS, "mask": MASK}, "y": LABELS},
        ({"photo": IMAGE, "readings": READINGS, "mask": MASK}, LABELS),
    ],
)
def test_what_a_program_gives_becomes_those_arrays(value: object) -> None:
    found = gathered(value, "data")
    assert found.keys() == {"x", "x.readings", "x.mask", "y"}
    np.testing.assert_array_equal(found["x"], IMAGE)
    np.testing.assert_array_equal(found["x.readings"], READINGS)
    np.testing.assert_array_equal(found["x.mask"], MASK)


def test_tuples_and_parts_of_a_program() -> None:
    pairs = [((IMAGE[i], READINGS[i]), int(LABELS[i])) for i in range(COUNT)]
    for value in (pairs, ((IMAGE, READINGS), LABELS)):
        assert gathered(value, "data").keys() == {"x", "x.x1", "y"}
    both = gathered({"train": DICTIONARIES, "test": DICTIONARIES[:4]}, "data")
    assert {name: len(array) for name, array in both.items()} == {
        **dict.fromkeys(("x_train", "x_train.readings", "x_train.mask", "y_train"), COUNT),
        **dict.fromkeys(("x_test", "x_test.readings", "x_test.mask", "y_test"), 4),
    }
    scalars = [((np.float32(1), np.float32(2)), 0), ((np.float32(3), np.float32(4)), 1)]
    assert gathered(scalars, "data")["x"].tolist() == [[1, 2], [3, 4]], "numbers are one array, as ever"


@pytest.mark.parametrize(
    ("arrays", "inputs", "sentence"),
    [
        ({}, "readings", "has no array 'readings' for the input readings, but other, x, y; name it so, or mend inputs"),
        ({"x.readings": READINGS[:7]}, "", "has 20 samples, but 7 in readings; give one for each"),
        ({"readings": np.array(["a"] * COUNT)}, "readings", "readings must be numbers .samples, ...., not <U1"),
        ({"readings": np.full((COUNT, 2), np.nan)}, "readings", "has a number that is not finite in sample 0"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, arrays: dict[str, Any], inputs: str, sentence: str) -> None:
    np.savez(tmp_path / "d.npz", x=IMAGE, y=LABELS, other=np.zeros(3), **arrays)
    with pytest.raises(DataError, match=sentence) as caught:
        load_data(str(tmp_path / "d.npz"), options={"inputs": inputs} if inputs else {})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ("y", "inputs names what samples have besides x, but y has the labels; leave it out"),
        ("readings,readings", "but readings is named twice; leave it out"),
        ("x,readings", "but x is x itself; leave it out"),
    ],
)
def test_inputs_that_are_none_are_refused(tmp_path: Path, inputs: str, sentence: str) -> None:
    np.savez(tmp_path / "d.npz", x=IMAGE, y=LABELS, readings=READINGS)
    with pytest.raises(ConfigError, match=sentence):
        load_data(str(tmp_path / "d.npz"), options={"inputs": inputs})
    recorded = load_data(str(tmp_path / "d.npz"), options={"inputs": "readings"}).options
    again = load_data(str(tmp_path / "d.npz"), options={**recorded, "inputs": ["x", "readings"]})
    assert list(again.train.side) == ["readings"], "runs that were written before are read"


def test_samples_of_a_program_that_do_not_fit_are_refused() -> None:
    odd = [*DICTIONARIES, ({"photo": IMAGE[0], "readings": READINGS[0]}, 1)]
    with pytest.raises(
        DataError, match=r"sample 20 of data is x float32 \(1, 3, 3\), readings .*, but the first is x .* mask bool"
    ):
        gathered(odd, "data")
    with pytest.raises(DataError, match="sample 0 of data is a dictionary of nothing"):
        gathered([({}, 0)], "data")
    with pytest.raises(DataError, match=r"x\.readings of sample 0 of data cannot be made an array"):
        gathered([({"x": IMAGE[0], "readings": [[1], [1, 2]]}, 0)], "data")


def test_a_live_source_of_several_inputs_is_refused(tmp_path: Path) -> None:
    source = LiveSource(lambda: iter(DICTIONARIES), tmp_path / "record", count=10, classes=("0", "1"))
    reason = "several inputs, and a record of a live source holds one array a sample"
    with attached(source) as name, pytest.raises(DataError, match=reason):
        load_data(name)


def test_a_report_shows_them(tmp_path: Path) -> None:
    both: dict[str, Any] = {"x.readings": READINGS, "x.mask": MASK}
    np.savez(tmp_path / "d.npz", x=IMAGE, y=LABELS, **both)
    found = check_data(str(tmp_path / "d.npz"))
    assert found["inputs"] == {"readings": {"shape": [2], "dtype": "float32"}, "mask": {"shape": [4], "dtype": "bool"}}
    np.savez(tmp_path / "d.npz", x=IMAGE, y=LABELS)
    assert "inputs" not in check_data(str(tmp_path / "d.npz"))


def test_examples_for_an_export_have_all_inputs_or_none(tmp_path: Path) -> None:
    one: dict[str, Any] = {"x.readings": READINGS}
    np.savez(tmp_path / "d.npz", x=IMAGE, y=LABELS, **one)
    x, told = TensorSpec("x", "float32", (4, 1, 3, 3)), list[str]()
    side = (TensorSpec("readings", "float32", (2,)),)
    found = training_samples(str(tmp_path / "d.npz"), x, None, told.append, {}, side)
    np.testing.assert_array_equal(found["readings"], READINGS[(found["x"][:, 0, 0, 0] / 9).astype(int)])
    assert not told
    assert training_samples(str(tmp_path / "d.npz"), x, None, told.append, {}) is None
    assert "they have readings besides x, the network takes nothing" in told[0]
