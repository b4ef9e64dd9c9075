"""Targets that a program gives to a block: each task refuses what it cannot learn, whatever shape it comes in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgebll.kernel.errors import DataError
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.kernel.tasks import Classification, MultiLabel, Reconstruction, Regression, Segmentation, Task
from edgebll_devices.block_inputs import as_labels

ROWS = TensorSpec("y", "float32", (2, 3))
MAPS = TensorSpec("y", "float32", (2, 3, 2, 2))


def masks(share: float) -> np.ndarray:
    """Shares of three classes at every pixel; 1/3 each is a target."""
    return np.full(MAPS.shape, share, np.float32)


@pytest.mark.parametrize(
    ("task", "tensor", "value", "words"),
    [
        (Classification(), ROWS, [[1, 1, 0], [0, 0, 1]], "soft labels must be shares of classes"),
        (Classification(), ROWS, [[0, 0, 0], [0, 0, 1]], "soft labels must be shares of classes"),
        (Classification(class_weights=(1, 2, 3)), ROWS, [[2, -1, 0], [0, 0, 1]], "soft labels must be shares of classes"),
        (Segmentation(), MAPS, masks(0.5), "soft labels must be shares of classes"),
        (MultiLabel(), ROWS, [[0.5, 0, 1], [0, 1, 1]], "labels of multilabel must be 0 or 1"),
        (MultiLabel(), ROWS, [3, 0], "must be classes 0..2, or 0 or 1 for each class"),
        (MultiLabel(), ROWS, [-1, 0], "must be classes 0..2"),
        (MultiLabel(), ROWS, [0.0, 1.0], "must be classes 0..2"),
        (Regression(), ROWS, [[0, np.inf, 0], [0, 0, 0]], "NaN or infinite"),
    ],
)
def test_what_a_task_cannot_learn_is_refused(task: Task, tensor: TensorSpec, value: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        as_labels("block0", value, tensor, task, 3)


@pytest.mark.parametrize(
    ("task", "tensor", "value"),
    [
        (Classification(), ROWS, [[0.25, 0.75, 0], [0, 0, 1]]),
        (Classification(ignore_index=255), ROWS, [[0, 0, 0], [0, 0, 1]]),
        (Segmentation(), MAPS, masks(1 / 3)),
        (MultiLabel(), ROWS, [[1, 1, 0], [0, 0, 0]]),
        (Regression(), ROWS, [[-5, 1e6, 0], [0, 0, 0]]),
        (Reconstruction(), ROWS, [[-5, 1e6, 0], [0, 0, 0]]),
        (None, ROWS, [[-5, 1e6, 0], [0, 0, 0]]),
    ],
)
def test_targets_as_graphs_take_them_stay_as_they_are(task: Task | None, tensor: TensorSpec, value: Any) -> None:
    found = as_labels("block0", value, tensor, task, 3)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.asarray(value, np.float32))


def test_classes_become_rows() -> None:
    np.testing.assert_array_equal(as_labels("block0", [2, 0], ROWS, MultiLabel(), 3), [[0, 0, 1], [1, 0, 0]])
