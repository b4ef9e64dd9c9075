"""What a Python program gives as data, and what its code makes when it is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.own_files import pixels

from edgebll.data import LoadedData, load_data, load_dataset
from edgebll.data.own.python_samples import gathered
from edgebll.data.registry import named_options, recorded_options, settled_name
from edgebll.kernel.errors import ConfigError, DataError

X = np.arange(12, dtype=np.float32).reshape(6, 2)
Y = np.arange(6) % 3


class Pairs(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """A torch Dataset, which says its length but not where it ends."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(X)[index], int(Y[index])


def generated() -> Iterator[tuple[Any, Any]]:
    for x, y in zip(X, Y, strict=True):
        yield x.tolist(), torch.tensor(y)


@pytest.mark.parametrize(
    "value",
    [
        (X, Y),
        (torch.from_numpy(X), torch.from_numpy(Y)),
        {"x": X, "y": Y.tolist()},
        Pairs(),
        torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)),
        list(zip(X, Y, strict=True)),
        generated(),
    ],
    ids=["arrays", "tensors", "mapping", "torch Dataset", "TensorDataset", "list", "generator"],
)
def test_all_kinds_are_the_same_arrays(value: Any) -> None:
    found = gathered(value, "data")
    assert np.array_equal(found["x"], X)
    assert np.array_equal(found["y"], Y)


def test_parts_are_told_apart() -> None:
    found = gathered({"train": (X, Y), "val": Pairs()}, "data")
    assert sorted(found) == ["x_train", "x_val", "y_train", "y_val"]
    assert np.array_equal(found["x_val"], X)


def test_images_of_pillow_and_names_of_classes() -> None:
    images = [(Image.fromarray(pixels(seed, 5, 4)), name) for seed, name in enumerate(("b", "a"))]
    found = gathered(images, "data")
    assert np.array_equal(found["x"], np.stack([pixels(0, 5, 4), pixels(1, 5, 4)]))
    assert found["y"].tolist() == ["b", "a"]


def broken() -> Iterator[tuple[Any, int]]:
    yield X[0], 0
    raise OSError("the cable is out")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (7, "data must be arrays .*, not int"),
        ([], "data gives not one sample"),
        ([X[0]], "sample 0 of data must be a pair .*, not ndarray"),
        ([(X[0], 0), (X[:, 0], 1)], r"sample 1 of data is float32 \(6,\), but the first is float32 \(2,\)"),
        (broken(), "sample 1 of data cannot be read: OSError: the cable is out"),
        ({"left": X}, "have train and test, but has left"),
        ([(object(), 0)], "sample 0 of data must be numbers of one shape, not object"),
        ([(torch.ones(2, requires_grad=True), 0)], "sample 0 of data cannot be made an array of numpy: RuntimeError"),
    ],
)
def test_what_are_no_samples_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        gathered(value, "data")


CODE = """
import numpy as np

def make_data(gain=1.0, count=40):
    for index in range(count):
        yield np.full(3, gain * index, np.float32), index % 2

FIXED = [(np.zeros(3), "a"), (np.ones(3), "b"), (np.zeros(3), "a"), (np.ones(3), "b")]
NOTHING = 3
"""


def load(name: str, **given: Any) -> LoadedData:
    return load_data(name, options=named_options(name, given))


def test_code_is_found_by_its_name_and_given_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    data = load("mine.py:make_data", gain="2", test="0.25")
    assert (data.name, len(data.train), len(data.test)) == (f"{tmp_path}/mine.py:make_data", 30, 10)
    assert float(max(part.samples.max() for part in data.splits)) == 78
    assert data.options["arguments"] == {"gain": "2"}
    assert settled_name("mine.py:make_data") == data.name
    again = load_data(data.name, options=data.options)
    assert again.options == data.options
    assert len(load("mine.py:FIXED", test=0.5).train) == 2
    other = recorded_options("mine.py:make_data", data.options, {"count": 6})
    assert len(load_dataset("mine.py:make_data", "train", options={**other, "test": 0})) == 6


def test_code_that_changed_or_fails_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(CODE)
    options = load(f"{file}:make_data").options
    for name, given, reason in (
        ("NOTHING", {}, "must be arrays .* or make one, not a int"),
        ("absent", {}, "absent"),
        ("make_data", {"gains": 3}, "gains"),
        ("make_data", {"gain": "much"}, "gain"),
    ):
        with pytest.raises(ConfigError, match=reason):
            load(f"{file}:{name}", **given)
    file.write_text(CODE + "\n# another\n")
    with pytest.raises(ConfigError, match=r"mine\.py, which has changed since"):
        load_data(f"{file}:make_data", options=options)
    unsteady = tmp_path / "unsteady.py"
    unsteady.write_text(
        "import numpy as np\n\ndef make():\n    return np.random.default_rng().normal(size=(8, 2)), np.arange(8) % 2\n"
    )
    with pytest.raises(DataError, match="have changed since the training began"):
        load_data(f"{unsteady}:make", options=load(f"{unsteady}:make").options)


def test_nothing_is_called_on_the_word_of_a_bundle(tmp_path: Path) -> None:
    """A bundle of a stranger may name anything: what no user named, with its content, is neither called nor opened."""
    file, kept = tmp_path / "mine.py", tmp_path / "kept.txt"
    file.write_text("import pathlib\n\ndef burn(path):\n    pathlib.Path(path).unlink()\n    return [([0.0], 0), ([1.0], 1)]\n")
    kept.write_text("dear")
    own = named_options(f"{file}:burn", {})["code"]
    for name, code in (
        (f"{file}:burn", {}),
        (f"{file}:burn", {"reference": f"{file}:burn", "files": {}, "package": ""}),
        ("io:FileIO", {"reference": "io:FileIO", "files": {}, "package": ""}),
        ("io:FileIO", {"reference": "io:FileIO", "files": own["files"], "package": ""}),
        (f"{file}:pathlib.Path.read_text", {**own, "reference": f"{file}:pathlib.Path.read_text"}),
    ):
        arguments = {"file": str(kept), "mode": "w"} if name == "io:FileIO" else {"path": str(kept)}
        with pytest.raises(ConfigError, match=r"nothing else is called|name the data anew|name it yourself"):
            load_data(name, options={"code": code, "arguments": arguments})
        assert kept.read_text() == "dear"
    assert (
        len(load_dataset(f"{file}:burn", "train", options={"code": own, "arguments": {"path": str(kept)}, "test": 0}).labels)
        == 2
    )
