"""Tables of sensors: rows and windows, their classes, and cells that are no numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgebll.data import Dataset, load_data
from edgebll.kernel.errors import ConfigError, DataError

RAW: dict[str, object] = {"normalize": "no"}


def table(rows: int, group_rows: int = 10) -> str:
    """A table whose numbers tell their row: a = row, b = -row; a recording of `group_rows` rows, one class a recording."""
    lines = [f"{row},{-row},r{row // group_rows},{'walk' if row // group_rows % 2 else 'rest'}" for row in range(rows)]
    return "\n".join(["a,b,who,label", *lines]) + "\n"


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def both(*parts: Dataset) -> list[tuple[list[float], int]]:
    """Every sample's first channel, and its class."""
    return sorted(
        (np.atleast_1d(sample[0]).tolist(), int(label))
        for part in parts
        for sample, label in zip(part.inputs(np.arange(len(part))), part.labels, strict=True)
    )


def test_each_row_is_a_sample(tmp_path: Path) -> None:
    data = load_data(write(tmp_path / "t.csv", table(40)), options={**RAW, "columns": "a,b"})
    assert both(*data.splits) == [([float(row)], row // 10 % 2) for row in range(40)]
    assert (len(data.train), len(data.test), data.train.input_shape) == (32, 8, (2,))
    assert data.options["classes"] == ["rest", "walk"]
    normal = load_data(str(tmp_path / "t.csv"), options={"columns": "a,b"})
    x = normal.train.inputs(np.arange(32))
    assert np.allclose(x.mean(0), 0, atol=1e-4)
    assert np.allclose(x.std(0), 1, atol=1e-4)


def test_windows_never_cross_a_recording_and_have_the_class_of_their_last_row(tmp_path: Path) -> None:
    options = {**RAW, "columns": "a,b", "group": "who", "window": 4, "step": 3}
    data = load_data(write(tmp_path / "t.csv", table(80)), options=options)
    expected = [
        ([float(row) for row in range(start, start + 4)], start // 10 % 2)
        for recording in range(8)
        for start in range(10 * recording, 10 * recording + 7, 3)
    ]
    assert both(*data.splits) == expected
    assert data.train.input_shape == (2, 4)
    held_out = {int(sample[0, 0]) // 10 for sample in data.test.inputs(np.arange(len(data.test)))}
    trained_on = {int(sample[0, 0]) // 10 for sample in data.train.inputs(np.arange(len(data.train)))}
    assert not held_out & trained_on
    assert {recording % 2 for recording in held_out} == {0, 1}


def test_overlapping_windows_of_one_recording_are_split_in_time(tmp_path: Path) -> None:
    lines = "\n".join(f"{row},{row % 2}" for row in range(50))
    data = load_data(write(tmp_path / "t.csv", f"a,label\n{lines}"), options={**RAW, "window": 5, "step": 1})
    rows = [{int(value) for value in part.inputs(np.arange(len(part))).ravel()} for part in data.splits]
    assert rows == [set(range(40)), set(range(40, 50))]
    apart = load_data(str(tmp_path / "t.csv"), options={**RAW, "window": 5})
    assert [len(part) for part in apart.splits] == [8, 2]


def test_targets_may_be_numbers_or_nothing(tmp_path: Path) -> None:
    name = write(tmp_path / "t.csv", "a,b,load\n" + "".join(f"{row},{-row},{row / 2}\n" for row in range(20)))
    one = load_data(name, options=RAW).train
    assert (one.task.name, one.outputs, one.input_shape) == ("regression", (1,), (2,))
    x = one.inputs(np.arange(len(one)))
    assert np.array_equal(one.targets(np.arange(len(one)))[:, 0], x[:, 0] / 2)
    two = load_data(name, options={**RAW, "target": "b,load", "window": 4}).train
    assert (two.task.name, two.outputs, two.input_shape) == ("regression", (2,), (1, 4))
    x = two.inputs(np.arange(len(two)))
    assert np.array_equal(two.targets(np.arange(len(two))), np.stack([-x[:, 0, 3], x[:, 0, 3] / 2], 1))
    none = load_data(name, options={**RAW, "labels": "none", "window": 4}).train
    assert (none.task.name, none.outputs, none.input_shape) == ("reconstruction", (3, 4), (3, 4))
    with pytest.raises(DataError, match="has no test samples"):  # of twenty classes there is one sample each
        load_data(name, options={**RAW, "labels": "classes"})


def test_files_for_training_and_evaluation_are_respected(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "a;label\n1;x\n2;y\n")
    write(tmp_path / "val.csv", "\ufefflabel;a\ny;3\n")
    data = load_data(str(tmp_path), options=RAW)
    assert both(data.train) == [([1.0], 0), ([2.0], 1)]
    assert both(data.test) == [([3.0], 1)]


def test_a_table_without_names_has_its_class_last(tmp_path: Path) -> None:
    data = load_data(write(tmp_path / "t.csv", "1,2,10\n3,4,9\n5,6,10\n7,8,9\n"), options=RAW)
    assert both(*data.splits) == [([1.0], 1), ([3.0], 0), ([5.0], 1), ([7.0], 0)]
    assert data.options["classes"] == ["9", "10"]


def test_a_first_line_with_numbers_and_classes_is_a_sample(tmp_path: Path) -> None:
    data = load_data(write(tmp_path / "t.csv", "1,2,x\n3,4,y\n5,6,x\n7,8,y\n"), options=RAW)
    assert both(*data.splits) == [([1.0], 0), ([3.0], 1), ([5.0], 0), ([7.0], 1)]


def test_a_column_without_a_name_may_be_left_out(tmp_path: Path) -> None:
    name = write(tmp_path / "t.csv", ",a,b,y\n" + "".join(f"{row},{-row},0,{row % 2}\n" for row in range(4)))
    data = load_data(name, options={**RAW, "columns": "a,b"})
    assert both(*data.splits) == [([-3.0], 1), ([-2.0], 0), ([-1.0], 1), ([0.0], 0)]
    assert load_data(name, options=data.options).train.input_shape == (2,)


@pytest.mark.parametrize(
    ("text", "options", "reason"),
    [
        ("a,b,label\n1,2,x\n1,nan,y\n", {}, "t.csv, line 3: the column b has 'nan', which is no number"),
        ("a,b,label\n1,2,x\n,3,y\n", {}, "t.csv, line 3: the column a has '', which is no number"),
        ("a,b,label\n1,inf,x\n1,3,y\n", {}, "t.csv, line 2: the column b has 'inf'"),
        ("a,b,label\n1,2,x\n\n\n1,off,y\n", {}, "t.csv, line 5: the column b has 'off'"),
        ("a,b,label\n1,2,x\n1,-4e38,y\n", {}, r"line 3: the column b has -4e38, but the largest .* float32 is 3\.4e\+38"),
        ("a,label\n1,0.5\n2,1e39\n", {}, "t.csv, line 3: the column label has 1e39, but the largest number of float32 is"),
        ("a,b,label\n1,2,x\n1,2\n", {}, "t.csv, line 3: 2 values, but there are 3 columns"),
        ("a,b,label\n1,2,x\n1,2,\n", {}, "line 3: the column label is empty"),
        ("a,b,label\n1,2,x\n1,2,y\n", {"target": "class"}, "no column 'class'; it has a, b, label"),
        ("a,b,label\n1,2,x\n1,2,y\n", {"columns": "a,c"}, "no column 'c'"),
        ("a,b,label\n1,2,x\n1,2,x\n", {}, "one class only, x"),
        ("a,b,label\n1,2,x\n1,2,y\n", {"classes": "x,z"}, "the label y of sample 1 is none of the classes x, z"),
        ("a,a,label\n1,2,x\n", {}, "two columns 'a'"),
        ("a,b,label\n", {}, "has no line of values"),
        ("", {}, "has no line of values"),
        ("label\nx\ny\n", {}, "no column but label"),
        ("a,label\n1,x\n2,y\n", {"window": 3}, "2 rows, too few for a window of 3"),
        ("a,who,label\n1,p,x\n2,q,y\n", {"window": 2, "group": "who"}, "no 2 rows of one recording in a row, at most 1"),
        ("nan,2,x\n1,2,y\n3,4,x\n", {}, "t.csv, line 1: the column 0 has 'nan', which is no number"),
        ("1,nan,0\n1,2,1\n3,4,0\n", {}, "t.csv, line 1: the column 1 has 'nan', which is no number"),
        ("1,,x\n1,2,y\n3,4,x\n", {}, "t.csv, line 1: the column 1 has '', which is no number"),
        ("0,1,label\n1,2,x\n3,4,y\n", {}, "line 1: 'label' is in no other line of its column, .* but '0' beside it"),
        (",a,b,y\n0,1,2,0\n1,3,4,1\n", {}, "t.csv, line 1: column 1 of 4 has no name, .* .pandas: index=False"),
        ("a,b,\n1,2,0\n3,4,1\n", {}, "t.csv, line 1: column 3 of 3 has no name"),
        ("a,label\n1,x\n1_000,y\n", {}, "t.csv, line 3: the column a has '1_000', which is no number"),
        ("a,label\n1,x\n\uff11\uff12,y\n", {}, "t.csv, line 3: the column a has '\uff11\uff12', which is no number"),
        ("a,label\n1,x\n2,y\n", {"window": 0}, "window must be at least 1 rows, not 0"),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, text: str, options: dict[str, object], reason: str) -> None:
    with pytest.raises((DataError, ConfigError), match=reason):
        load_data(write(tmp_path / "t.csv", text), options=options)


@pytest.mark.parametrize(("text", "line"), [("a,label\n1,x\n{},y\n", 3), ("a,{}\n1,x\n2,y\n", 1)])
def test_a_cell_without_end_is_refused(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(DataError, match=rf"t\.csv, line {line} cannot be read as cells .field larger than"):
        load_data(write(tmp_path / "t.csv", text.format("z" * 200_000)))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DataError, match=r"t\.csv cannot be read as text"):
        load_data(str(tmp_path / "t.csv"))
    (tmp_path / "t.csv").write_bytes(b"a,label\n1,x\n2,\xff\n" * 9_000)
    with pytest.raises(DataError, match=r"t\.csv.* cannot be read as") as caught:
        load_data(str(tmp_path / "t.csv"))
    assert "\n" not in str(caught.value)
