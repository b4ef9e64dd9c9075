"""What is learnt of samples that are still to come, and which of them are held out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.gated_source import Gate, source

from edgebll.data import load_data
from edgebll.data.own.live_reading import attached
from edgebll.kernel.errors import DataError
from edgebll.kernel.tasks import TASKS, Segmentation, Task


@dataclass(frozen=True)
class Looks(Task):
    """A task of a user's own that looks at every label."""

    def check_labels(self, labels: Any, where: str, num_classes: int) -> None:
        assert sorted(set(np.asarray(labels).tolist())) == [0, 1]


@pytest.mark.parametrize("task", [*(kind() for kind in TASKS.values() if kind is not Segmentation), Looks()], ids=repr)
def test_no_task_waits_for_labels_that_are_still_to_come(task: Task, tmp_path: Path) -> None:
    gate = Gate(free=3)
    with attached(source(tmp_path, gate)) as name:
        train = load_data(name).train.for_task(task)
        assert gate.taken <= 3
        gate.opened.set()
        first = train.targets(np.arange(2))
        assert first.shape == (2, *train.target_shape)
        assert np.array_equal(first, train.for_task(task).targets(np.arange(2)))


@pytest.mark.parametrize("blank", [1, 255])
def test_a_class_may_stand_for_none(blank: int, tmp_path: Path) -> None:
    gate = Gate(free=3)
    with attached(source(tmp_path, gate)) as name:
        train = load_data(name).train.for_task(TASKS["classification"](ignore_index=blank))  # type: ignore[call-arg]
        assert gate.taken <= 3
        gate.opened.set()
        assert train.targets(np.arange(2)).tolist() == [[1, 0], [0, float(blank != 1)]]


def test_masks_do_not_come_from_a_live_source(tmp_path: Path) -> None:
    gate = Gate(free=3)
    with attached(source(tmp_path, gate)) as name:
        train = load_data(name).train
        with pytest.raises(DataError, match="has no masks: segmentation takes whole labels"):
            train.for_task(Segmentation())
        gate.opened.set()


@pytest.mark.parametrize(
    ("test", "count", "expected"),
    [
        (0.2, 20, [4, 9, 14, 19]),
        (0.25, 8, [3, 7]),
        (1 / 3, 9, [2, 5, 8]),
        (0.4, 20, [2, 4, 7, 9, 12, 14, 17, 19]),
        (0.7, 10, [1, 2, 4, 5, 7, 8, 9]),
        (0.95, 20, [n for n in range(20) if n != 0]),
    ],
)
def test_as_many_are_held_out_as_are_asked_for(test: float, count: int, expected: list[int], tmp_path: Path) -> None:
    """Evenly: whatever came so far, its share is right to less than one sample."""
    with attached(source(tmp_path, count=count)) as name:
        data = load_data(name, options={"test": test})
        found = data.test.inputs(np.arange(len(data.test)))[:, 0].astype(int).tolist()
        rest = data.train.inputs(np.arange(len(data.train)))[:, 0].astype(int).tolist()
    assert found == expected
    assert sorted(found + rest) == list(range(count))
