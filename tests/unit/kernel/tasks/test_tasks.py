"""Tasks by name, what they make of labels, and what they refuse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from edgebll.data.dataset import Dataset
from edgebll.kernel.errors import BundleError, ConfigError, DataError
from edgebll.kernel.runs.metric_text import metric_text
from edgebll.kernel.tasks import (
    CLASSIFICATION,
    Classification,
    MultiLabel,
    NextByte,
    Reconstruction,
    Regression,
    Segmentation,
    Task,
    make_task,
    task_of_record,
    task_record,
)

X = np.zeros((4, 1, 2, 2), np.float32)


def data(labels: Any, classes: int = 0, task: Task | None = None) -> Dataset:
    return Dataset("toy", X, labels, classes, task=task)  # type: ignore[arg-type]


def test_labels_suggest_a_task() -> None:
    assert data(np.array([0, 1, 2, 0]), 3).task == CLASSIFICATION
    assert data(np.zeros((4, 2), np.int64), 3).outputs == (2, 3)
    assert data(np.zeros((4, 2, 2), np.int64), 3).task == Segmentation()
    assert data(np.zeros((4, 2), np.float32)).task == Regression()
    assert data(None).task == Reconstruction()


@pytest.mark.parametrize(
    ("labels", "classes", "task", "expected"),
    [
        (np.array([0, 2, 1, 0]), 3, Classification(), [[1, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]]),
        (np.array([0, 7, 1, 0]), 2, Classification(ignore_index=7), [[1, 0], [0, 0], [0, 1], [1, 0]]),
        (np.array([[0.5, 0.5]] * 4, np.float32), 0, Classification(), [[0.5, 0.5]] * 4),
        (np.array([3, 1, 0, 2]), 4, Regression(), [[3], [1], [0], [2]]),
        (np.array([1, 0, 1, 0]), 2, MultiLabel(), [[0, 1], [1, 0], [0, 1], [1, 0]]),
        (np.array([[1, 1]] * 4, np.float32), 0, MultiLabel(), [[1, 1]] * 4),
        (np.array([[[0, 1]]] * 4), 2, Segmentation(), [[[[1, 0]], [[0, 1]]]] * 4),
        (np.array([[1], [0], [0], [1]]), 2, NextByte(), [[[0, 1]], [[1, 0]], [[1, 0]], [[0, 1]]]),
        (None, 0, Reconstruction(), X.tolist()),
    ],
)
def test_targets_of_labels(labels: Any, classes: int, task: Task, expected: Any) -> None:
    dataset = data(labels, classes, task)
    y = dataset.targets(np.arange(4))
    assert y.tolist() == expected
    assert (y.dtype.name, y.shape[1:]) == task.target(dataset.outputs)
    assert y.shape[1:] == dataset.target_shape


@pytest.mark.parametrize(
    ("labels", "classes", "task", "message"),
    [
        (np.array([0, 3, 0, 0]), 3, None, r"toy: labels must lie in 0\.\.2, but reach from 0 to 3"),
        (np.array([-1] * 4), 3, Classification(ignore_index=-1), "every label is -1, which counts as none"),
        (
            np.array([0.0, np.nan, 1, 2], np.float32),
            0,
            None,
            "the label of sample 1 is not a finite number; mend the data",
        ),
        (np.array([[0.5, 0.6]] * 4, np.float32), 0, Classification(), "soft labels must be shares of classes"),
        (np.zeros((4, 2), np.float32), 0, Segmentation(), "toy has no masks"),
        (np.array([[2.0, 0.0]] * 4, np.float32), 0, MultiLabel(), "labels of multilabel must be 0 or 1"),
        (np.zeros((4, 2, 2), np.int64), 3, Classification(), "use --task segmentation"),
        (np.zeros(4, np.int64), 0, Classification(), "use --task regression"),
        (None, 0, Regression(), "toy has no labels, which the task regression needs; use --task reconstruction"),
        (np.zeros((3, 2), np.float32), 0, None, r"4 samples need labels of int64 or float32 and shape \(4, \.\.\.\)"),
    ],
)
def test_labels_that_are_none_for_the_task(labels: Any, classes: int, task: Task | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        data(labels, classes, task)


def test_class_weights_are_one_for_each_class() -> None:
    with pytest.raises(ConfigError, match="has 2 class weights, but there are 3 classes; give one number for each class"):
        data(np.zeros(4, np.int64), 3, Classification((1.0, 2.0)))


@pytest.mark.parametrize("shape", [(4, 3), (4, 5, 3)])
def test_soft_labels_have_their_classes_last(shape: tuple[int, ...]) -> None:
    shares = np.full(shape, 1 / 3, np.float32)
    assert data(shares, task=Classification((1.0, 2.0, 3.0))).label_spec.shape == shape[1:]
    with pytest.raises(ConfigError, match="has 2 class weights, but there are 3 classes; give one number for each class"):
        data(shares, task=Classification((1.0, 2.0)))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("clustering", {}, "unknown task 'clustering'; known are classification, multilabel"),
        ("regression", {"loss_kind": "cubic"}, "must be one of mse, mae, huber, not 'cubic'"),
        ("regression", {"delta": 0.0}, "must be above 0"),
        ("classification", {"class_weights": "1,x"}, "class_weights must be a float, not 'x'"),
        ("classification", {"class_weights": (-1.0, 1.0)}, "must not be negative"),
        ("classification", {"label_smoothing": 1.0}, r"must lie in \[0, 1\)"),
        ("classification", {"ignore_index": "some"}, "the ignore_index must be a whole number or none, not 'some'"),
        ("multilabel", {"positive_weight": 0.0}, "must be above 0"),
        ("segmentation", {"colour": 1}, "has no option 'colour'"),
    ],
)
def test_options_that_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_task(name, **options)


def test_a_record_gives_the_task_back() -> None:
    task = Segmentation((1.0, 2.0), 0.1, 255)
    assert task_of_record(task_record(task), "here") == task
    assert task_record(CLASSIFICATION) == {}
    assert task_of_record({}, "here") == CLASSIFICATION, "of bundles that knew no other"
    with pytest.raises(BundleError, match="here is for a task that cannot be made here: unknown task 'other'"):
        task_of_record({"name": "other"}, "here")
    with pytest.raises(BundleError, match="here: the task must be a name and options"):
        task_of_record({"title": "other"}, "here")


def test_a_loss_beyond_what_numpy_has_says_what_to_do() -> None:
    @dataclass(frozen=True)
    class Odd(Task):
        def losses(self, output: Any, y: Any) -> Any:
            return (output - y).erfinv()

    with pytest.raises(ConfigError, match=r"no tensor method 'erfinv' here; use one of .*log_softmax.*, or write the"):
        Odd().sums(np.zeros((2, 1)), np.zeros((2, 1)), 2)


def test_figures_as_text() -> None:
    assert metric_text({"accuracy": 0.912, "loss": 0.5}) == "accuracy 91.20 %, loss 0.5000"
    assert metric_text({"rmse": 1.5, "mean_iou": 0.25}) == "rmse 1.5000, mean iou 25.00 %"
