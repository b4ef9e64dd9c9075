"""Losses and figures of tasks, against formulas written out number by number."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from edgebll.kernel.tasks import TASKS, Classification, MultiLabel, NextByte, Reconstruction, Regression, Segmentation, Task
from edgebll.kernel.tasks.numpy_tensor import NumpyTensor

RANDOM = np.random.default_rng(3)
OUTPUTS = {
    "classification": (4,),
    "multilabel": (5,),
    "regression": (3,),
    "segmentation": (3, 4, 2),
    "reconstruction": (1, 3, 2),
    "next-byte": (3, 5),
}


def batch(task: Task, shape: tuple[int, ...], count: int = 6) -> tuple[Any, Any]:
    return RANDOM.standard_normal((count, *shape)) * 2, task.examples(count, shape, RANDOM).astype(np.float64)


def naive_shares(z: list[float], y: list[float], e: float, w: list[float]) -> float:
    """-sum_c w_c y'_c log softmax(z)_c."""
    norm = math.log(sum(math.exp(value) for value in z))
    return -sum(w[c] * ((1 - e) * y[c] + e / len(y) * sum(y)) * (z[c] - norm) for c in range(len(y)))


def naive_labels(z: Any, y: Any, p: float) -> float:
    """-(p y log s + (1 - y) log(1 - s)), mean over labels."""
    terms = []
    for value, label in zip(z, y, strict=True):
        s = 1 / (1 + math.exp(-value))
        terms.append(-(p * label * math.log(s) + (1 - label) * math.log(1 - s)))
    return sum(terms) / len(terms)


def naive_error(kind: str, delta: float) -> Callable[[float], float]:
    """The error of one number."""
    if kind == "huber":
        return lambda e: e * e / 2 if abs(e) <= delta else delta * (abs(e) - delta / 2)
    return (lambda e: e * e) if kind == "mse" else abs


@pytest.mark.parametrize("weights", [(), (1.0, 0.5, 3.0)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("kind", [Classification, Segmentation])
def test_cross_entropy_counts_every_position_with_a_label(kind: Any, smoothing: float, weights: tuple[float, ...]) -> None:
    task = kind(weights, smoothing, 9)
    shape = (3,) if kind is Classification else (3, 2, 2)
    labels = np.array([0, 2, 9, 1, 2, 9, 9, 0]).reshape(8, *[1] * (len(shape) - 1)) * np.ones((8, *shape[1:]), np.int64)
    z, y = RANDOM.standard_normal((8, *shape)), task.targets(labels.astype(np.int64), 3)
    rows, shares = (np.moveaxis(each, 1, -1).reshape(-1, 3).tolist() for each in (z, y))
    w = list(weights or (1.0, 1.0, 1.0))
    top = sum(naive_shares(a, b, smoothing, w) for a, b in zip(rows, shares, strict=True))
    bottom = sum(w[c] * b[c] for b in shares for c in range(3))
    assert task.loss(torch.tensor(z), torch.tensor(y)).item() == pytest.approx(top / bottom, rel=1e-6)
    plain = F.cross_entropy(
        torch.tensor(z),
        torch.tensor(labels).long(),
        torch.tensor(w, dtype=torch.float64),
        ignore_index=9,
        label_smoothing=smoothing,
    )
    assert plain.item() == pytest.approx(top / bottom, rel=1e-6)
    assert task.results(task.sums(z, y, 8))["loss"] == pytest.approx(top / bottom, rel=1e-6)


@pytest.mark.parametrize("p", [1.0, 3.0])
def test_multilabel_is_the_binary_cross_entropy(p: float) -> None:
    task = MultiLabel(p)
    z, y = batch(task, (5,))
    expected = sum(naive_labels(a, b, p) for a, b in zip(z, y, strict=True)) / len(z)
    assert task.loss(torch.tensor(z), torch.tensor(y)).item() == pytest.approx(expected, rel=1e-9)
    plain = F.binary_cross_entropy_with_logits(torch.tensor(z), torch.tensor(y), pos_weight=torch.tensor(p))
    assert plain.item() == pytest.approx(expected, rel=1e-9)
    assert task.losses(torch.tensor([[1e4, -1e4]]), torch.tensor([[1.0, 0.0]])).item() == 0.0


@pytest.mark.parametrize("kind", ["mse", "mae", "huber"])
@pytest.mark.parametrize("cls", [Regression, Reconstruction])
def test_regression_is_the_mean_over_samples_and_numbers(cls: type[Any], kind: str) -> None:
    task, error = cls(kind, 0.7), naive_error(kind, 0.7)
    z, y = batch(task, (2, 3))
    errors = [float(e) for e in (z - y).ravel()]
    expected = sum(map(error, errors)) / len(errors)
    assert task.loss(torch.tensor(z), torch.tensor(y)).item() == pytest.approx(expected, rel=1e-9)
    found = task.results(task.sums(z, y, len(y)))
    assert found["loss"] == pytest.approx(expected, rel=1e-9)
    assert found["mae"] == pytest.approx(sum(map(abs, errors)) / len(errors), rel=1e-9)
    assert found["rmse"] == pytest.approx(math.sqrt(sum(e * e for e in errors) / len(errors)), rel=1e-9)


@pytest.mark.parametrize("name", TASKS)
def test_figures_of_parts_add_up_to_those_of_the_whole(name: str) -> None:
    task, shape = TASKS[name](), OUTPUTS[name]
    z, y = batch(task, shape, 10)
    sums: dict[str, float] = {}
    for start, stop in ((0, 4), (4, 8), (8, 10)):
        rows = np.concatenate([np.arange(start, stop), np.zeros(4 - (stop - start), np.int64)])  # filled up as batches are
        for key, value in task.sums(z[rows], y[rows], stop - start).items():
            sums[key] = sums.get(key, 0.0) + value
    assert task.results(sums) == pytest.approx(task.results(task.sums(z, y, 10)), rel=1e-12)
    assert list(task.results(sums))[-1] == "loss"
    assert set(task.results(sums)) == {*task.metrics, "loss"}


@pytest.mark.parametrize("name", TASKS)
def test_what_only_fills_up_a_batch_weighs_nothing(name: str) -> None:
    task, shape = TASKS[name](), OUTPUTS[name]
    z, y = (torch.tensor(each) for each in batch(task, shape, 5))
    given = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    assert task.loss(z, y, given).item() == pytest.approx(task.loss(z[:3], y[:3]).item(), rel=1e-9)


def test_figures_of_classes() -> None:
    z, y = np.array([[2.0, 0.0], [0.0, 1.0], [5.0, 0.0]], np.float32), np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    values = Classification().sums(z, y, 2)
    assert (values["correct"], values["count"]) == (1.0, 2.0)
    assert values["loss_sum"] == pytest.approx(np.log1p(np.exp(-2.0)) + np.log1p(np.exp(1.0)))
    large = Classification().sums(np.array([[1e4, -1e4]], np.float32), np.array([[0, 1]], np.float32), 1)
    assert large["loss_sum"] == pytest.approx(2e4)
    blank = Classification(ignore_index=-1)
    y = blank.targets(np.array([0, -1, 1]), 2)
    assert blank.results(blank.sums(z, y, 3))["accuracy"] == 0.5, "the one without a label does not count"


def test_bits_per_byte_are_those_of_the_text_whatever_is_trained_with() -> None:
    """-log2 of the share given to the byte that came, mean over positions; two equal shares take one bit."""
    z, labels = RANDOM.standard_normal((3, 2, 4)), np.array([[0, 3], [1, 1], [2, 0]])
    shares = [[[math.exp(s) / sum(map(math.exp, row)) for s in row] for row in sample] for sample in z.tolist()]
    bits = [-math.log2(shares[n][t][labels[n, t]]) for n in range(3) for t in range(2)]
    for task in (NextByte(), NextByte((1.0, 2.0, 3.0, 4.0), 0.1)):
        found = task.results(task.sums(z, task.targets(labels, 4), 3))
        assert found["bits_per_byte"] == pytest.approx(sum(bits) / 6, rel=1e-12)
    plain = NextByte().results(NextByte().sums(z, NextByte().targets(labels, 4), 3))
    assert plain["bits_per_byte"] == pytest.approx(plain["loss"] / math.log(2), rel=1e-12)
    even = NextByte().sums(np.zeros((1, 1, 2)), np.array([[[0.0, 1.0]]]), 1)
    assert NextByte().results(even)["bits_per_byte"] == pytest.approx(1.0)
    labels[0, 0] = 9
    blank = NextByte(ignore_index=9)
    found = blank.results(blank.sums(z, blank.targets(labels, 4), 3))
    assert found["bits_per_byte"] == pytest.approx(sum(bits[1:]) / 5, rel=1e-12), "over what has a label"


def test_figures_of_masks_are_intersections_over_unions() -> None:
    task = Segmentation(ignore_index=9)
    true, given = np.array([[[0, 0, 1, 9]], [[1, 1, 0, 0]]]), np.array([[[0, 1, 1, 0]], [[1, 0, 0, 0]]])
    z = np.moveaxis(np.eye(3)[given], -1, 1)
    found = task.results(task.sums(z, task.targets(true, 3), 2))
    assert found["pixel_accuracy"] == pytest.approx(5 / 7)
    assert found["mean_iou"] == pytest.approx((3 / 5 + 2 / 4) / 2), "a class that never occurs has no part in the mean"


def test_figures_of_labels() -> None:
    found = MultiLabel().results(MultiLabel().sums(np.array([[1, -1, 1], [1, -1, -1]]), np.array([[1, 1, 0], [1, 0, 0]]), 2))
    assert found["f1"] == pytest.approx(2 * 2 / (2 * 2 + 2))
    assert found["exact_match"] == 0.5


def test_a_numpy_tensor_is_a_tensor() -> None:
    values = RANDOM.standard_normal((3, 4, 2))
    for name, arguments in {
        "log_softmax": (1,),
        "softmax": (-1,),
        "sigmoid": (),
        "flatten": (1,),
        "mean": ((1, 2),),
        "sum": (1,),
        "amax": (2,),
        "amin": (0,),
        "clamp": (-0.3, 0.4),
        "unsqueeze": (1,),
        "movedim": (2, 0),
        "tanh": (),
        "abs": (),
        "exp": (),
        "square": (),
        "reshape": (4, 6),
    }.items():
        found = getattr(NumpyTensor(values), name)(*arguments).array
        np.testing.assert_allclose(found, getattr(torch.tensor(values), name)(*arguments).numpy(), rtol=1e-12, err_msg=name)
    ours: Any = NumpyTensor(values)
    np.testing.assert_allclose((1.0 - ours / 2.0).array, 1.0 - values / 2.0)
