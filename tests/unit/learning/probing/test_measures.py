"""What is measured of a block's features, against scikit-learn and loops; and that features are those of the blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from edgebll.data import Dataset
from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.tasks import Classification
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.probing.block_features import block_features
from edgebll.learning.probing.measures import LinearProbe, effective_rank, fisher_ratio, information_bits, label_bits

CLASSES = 4
GENERATOR = np.random.default_rng(0)


def clouds(count: int, apart: float) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, 6) around a corner for each class, of very different sizes, the last one constant."""
    labels = GENERATOR.integers(0, CLASSES, count)
    features = apart * np.eye(CLASSES, 6)[labels] + GENERATOR.normal(size=(count, 6)) * [1, 1, 1, 1, 50, 0] + 3.0
    return features, labels


@pytest.mark.parametrize("apart", [0.0, 1.0, 4.0])
def test_the_probe_is_logistic_regression(apart: float) -> None:
    (x, y), (test, wanted) = clouds(400, apart), clouds(300, apart)
    scaler = StandardScaler().fit(x)
    judge = LogisticRegression(C=1.0, tol=1e-8, max_iter=2000).fit(scaler.transform(x), y)
    shares = LinearProbe(x, y, CLASSES).log_shares(test)
    expected = judge.predict_proba(scaler.transform(test))
    np.testing.assert_allclose(np.exp(shares), expected, atol=2e-4)
    bits = label_bits(wanted) - log_loss(wanted, expected) / math.log(2)
    assert information_bits(shares, wanted) == pytest.approx(max(0.0, bits), abs=1e-3)
    assert 0 <= information_bits(shares, wanted) <= label_bits(wanted) <= 2.0
    assert apart == 0 or information_bits(shares, wanted) > 0.1


def test_the_entropy_of_labels() -> None:
    labels = np.array([0] * 4 + [1] * 2 + [3] * 2)
    assert label_bits(labels) == pytest.approx(0.5 * 1 + 2 * 0.25 * 2)


def test_effective_rank_counts_directions() -> None:
    """Of k equal singular values it is k; in general exp of the entropy of their shares."""
    columns = np.linalg.qr(GENERATOR.normal(size=(50, 7)) - 0.0)[0]
    columns -= columns.mean(0)
    columns = np.linalg.qr(columns)[0]
    for k in (1, 3, 7):
        assert effective_rank(columns[:, :k] @ np.eye(k, 9)) == pytest.approx(k, rel=1e-9)
    sizes = np.array([4.0, 2.0, 1.0])
    shares = [4 / 7, 2 / 7, 1 / 7]
    expected = math.exp(-sum(p * math.log(p) for p in shares))
    assert effective_rank(columns[:, :3] * sizes + 5.0) == pytest.approx(expected, rel=1e-9)
    assert effective_rank(np.ones((5, 3))) == 0.0


def test_fisher_ratio() -> None:
    x, y = clouds(60, 2.0)
    between = inside = 0.0
    for c in range(CLASSES):
        members = [x[n] for n in range(60) if y[n] == c]
        mean = sum(members) / len(members)
        for row in members:
            inside += float(sum((row[j] - mean[j]) ** 2 for j in range(6))) / 60
            between += float(sum((mean[j] - sum(x[:, j]) / 60) ** 2 for j in range(6))) / 60
    assert fisher_ratio(x, y) == pytest.approx(between / inside, rel=1e-9)
    assert fisher_ratio(np.eye(2)[[0, 1]], np.array([0, 1])) == math.inf
    assert fisher_ratio(np.ones((3, 2)), np.array([0, 1, 1])) == 0.0


def network() -> BlockNetwork:
    first = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3, 1, 1), torch.nn.BatchNorm2d(3))
    last = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16, 2))
    return BlockNetwork([first, last], 2, (1, 4, 4))


def data(count: int) -> Dataset:
    """Sorted by class."""
    samples = GENERATOR.normal(size=(count, 1, 4, 4)).astype(np.float32)
    return Dataset("mine", samples, np.sort(np.arange(count) % 2), 2)


@pytest.mark.parametrize("cells", [1, 2, 9])
def test_features_are_the_blocks_outputs_in_evaluation(cells: int) -> None:
    made, dataset = network(), data(131)
    (maps, scores), labels = block_features(made, dataset, 1000, cells)
    assert np.array_equal(labels, dataset.labels)
    made.eval()
    with torch.no_grad():
        a = made.blocks[0](torch.from_numpy(dataset.samples))
        expected = a.numpy() if cells == 9 else a.numpy().reshape(131, 3, cells, 4 // cells, cells, 4 // cells).mean((3, 5))
        np.testing.assert_allclose(maps, expected.reshape(131, -1), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(scores, made.blocks[1](a).numpy(), rtol=1e-4, atol=1e-6)


def test_fewer_samples_are_of_all_classes_and_the_same_each_time() -> None:
    (first, _), labels = block_features(network(), data(200), 40, 1)
    assert len(first) == 40
    assert 10 < labels.sum() < 30, "a prefix would be of one class"
    assert np.array_equal(labels, block_features(network(), data(200), 40, 1)[1])


def test_each_position_of_a_sequence_is_a_sample() -> None:
    """Some have no class; a block without positions is refused."""
    samples, labels = GENERATOR.normal(size=(50, 3, 4)).astype(np.float32), GENERATOR.integers(-1, 2, (50, 3))
    task = Classification(ignore_index=-1)
    dataset = Dataset("sequences", samples, labels, 2, task=task)
    made = BlockNetwork([torch.nn.Linear(4, 6), torch.nn.Linear(6, 2)], 2, (3, 4), task=task)
    (found, scores), classes = block_features(made, dataset, 1000, 1)
    known = [(n, t) for n in range(50) for t in range(3) if labels[n, t] >= 0]
    assert classes.tolist() == [labels[at] for at in known]
    with torch.no_grad():
        expected = torch.stack([made.blocks[0](torch.from_numpy(samples[at])) for at in known])
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(scores, made.blocks[1](expected).numpy(), rtol=1e-4, atol=1e-6)
    assert len(block_features(made, dataset, 20, 1)[1]) <= 20
    flat = BlockNetwork(
        [torch.nn.Flatten(), torch.nn.Sequential(torch.nn.Linear(12, 6), torch.nn.Unflatten(1, (3, 2)))], 2, (3, 4)
    )
    with pytest.raises(ConfigError, match=r"block0 gives the shape \(12,\), which has nothing for each of 3 positions.*cut"):
        block_features(flat, dataset, 20, 1)


def test_samples_of_another_shape_are_refused() -> None:
    other = Dataset("other", np.zeros((4, 1, 5, 5), np.float32), np.array([0, 1, 0, 1]), 2)
    with pytest.raises(DataError, match=r"the network takes samples of shape \(1, 4, 4\) .* other has samples \(1, 5, 5\)"):
        block_features(network(), other, 4, 1)
