"""Labels that stand for no label: no class, refused where nobody named them, and not counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebll.data import load_data
from edgebll.data.data_report import check_data
from edgebll.kernel.errors import DataError
from edgebll.kernel.tasks import Classification, Segmentation

RNG = np.random.default_rng(0)


def arrays(path: Path, shape: tuple[int, ...], blank: int) -> tuple[str, Any]:
    y = RNG.integers(0, 3, (40, *shape))
    y[RNG.random(y.shape) < 0.3] = blank
    y.flat[:4] = 0, 1, 2, blank
    np.savez(path / "data.npz", x=RNG.normal(size=(40, 1, 8, 8)).astype(np.float32), y=y)
    return str(path / "data.npz"), y


@pytest.mark.parametrize("shape", [(), (8,), (8, 8)])
@pytest.mark.parametrize("blank", [-1, 255, -100])
def test_a_label_of_none_is_no_class(tmp_path: Path, shape: tuple[int, ...], blank: int) -> None:
    name, y = arrays(tmp_path, shape, blank)
    data = load_data(name, options={"ignore_index": str(blank)})
    assert (data.options["classes"], data.options["ignore_index"]) == (["0", "1", "2"], blank)
    kind = Segmentation if len(shape) == 2 else Classification
    assert data.train.task == data.test.task == kind(ignore_index=blank)
    targets = np.concatenate([part.targets(np.arange(len(part))) for part in data.splits])
    assert targets.sum() == np.count_nonzero(y != blank)
    assert load_data(name, options=data.options).options == data.options

    rows = check_data(name, {"ignore_index": blank})["classes"]
    assert [row["train"] + row["test"] for row in rows] == [np.count_nonzero(y == label) for label in range(3)]


@pytest.mark.parametrize("shape", [(), (8, 8)])
@pytest.mark.parametrize("blank", [-1, 255])
def test_one_that_nobody_named_is_refused(tmp_path: Path, shape: tuple[int, ...], blank: int) -> None:
    name, _ = arrays(tmp_path, shape, blank)
    with pytest.raises(
        DataError, match=f"sample . is {blank}; if it stands for no label, add --task-option ignore_index={blank}"
    ):
        load_data(name)
    with pytest.raises(DataError, match="stands for no label"):
        load_data(name, options={"classes": "sky,road,tree"})
    with pytest.raises(DataError, match=r"is -?\d+; number them from 0"):
        load_data(name, options={"classes": "sky,road,tree", "ignore_index": 7})
    with pytest.raises(DataError, match=f"if {blank} stands for no label, add --task-option ignore_index={blank}"):
        load_data(name, options={"ignore_index": blank}).train.for_task(Segmentation() if shape else Classification())


def test_256_classes_are_256_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.ones((512, 2)), y=np.arange(512) % 256)
    assert load_data(str(tmp_path / "data.npz")).train.num_classes == 256


def test_nothing_but_labels_of_none_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.ones((8, 2)), y=np.full(8, 255))
    with pytest.raises(DataError, match="every label is 255, which counts as none"):
        load_data(str(tmp_path / "data.npz"), options={"ignore_index": 255})
