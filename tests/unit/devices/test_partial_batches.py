"""Blocks whose steps are told how many samples of a batch count, called from a program and timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.exported import BATCH_SIZE, masked, mlp

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.execution import step_timing
from edgebll_devices import load_block
from edgebll_devices.benchmark import block_timing
from edgebll_devices.runtimes import BlockRuntime
from edgebll_devices.runtimes import load_block as load_runtime

LR = 0.25


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A frozen block, and a linear layer that learns."""
    return masked(tmp_path_factory.mktemp("masked") / "bundle")


def batch() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    return generator.standard_normal((BATCH_SIZE, 6)).astype(np.float32), generator.integers(0, 3, BATCH_SIZE)


def by_hand(weight: np.ndarray, bias: np.ndarray, x: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One step of gradient descent on the mean cross-entropy, in float64: dz = (softmax(z) - y) / N."""
    z = x.astype(np.float64) @ weight.T + bias
    shares = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    slope = (shares - np.eye(3)[classes]) / len(x)
    return weight - LR * slope.T @ x, bias - LR * slope.sum(0)


@pytest.mark.parametrize(("given", "counts"), [({}, BATCH_SIZE), ({"count": 5}, 5), ({"count": np.int64(1)}, 1)])
def test_the_step_is_that_of_the_samples_that_count(given: Mapping[str, Any], counts: int, bundle: Bundle) -> None:
    x, classes = batch()
    with load_block(bundle, "block1") as block:
        before: Any = block.state()
        block.train(x, classes, LR, **given)
        after: Any = block.state()
    weight, bias = by_hand(before["net.weight"], before["net.bias"], x[:counts], classes[:counts])
    assert np.abs(weight - before["net.weight"]).max() > 1e-3
    np.testing.assert_allclose(after["net.weight"], weight, atol=1e-6)
    np.testing.assert_allclose(after["net.bias"], bias, atol=1e-6)


@pytest.mark.parametrize("count", [0, BATCH_SIZE + 1, 2.5, True, "5"])
def test_a_count_that_cannot_be_changes_nothing(count: Any, bundle: Bundle) -> None:
    x, classes = batch()
    with load_block(bundle, "block1") as block:
        before = block.state()
        with pytest.raises(ConfigError, match="block1 expected a whole number of 1 to 8 samples that count, not"):
            block.train(x, classes, LR, count=count)
        assert all(np.array_equal(value, before[name]) for name, value in block.state().items())


def test_a_step_that_is_told_nothing_takes_whole_batches_alone(bundle: Bundle, tmp_path: Path) -> None:
    with load_block(bundle, "block0") as frozen:
        frozen.train(*batch(), LR, count=5)  # nothing in it learns, so a loop over blocks may say it to all
    x = np.ones((BATCH_SIZE, 1, 6, 6), np.float32)
    with load_block(mlp(tmp_path / "bundle"), 0) as block:
        block.train(x, np.zeros(BATCH_SIZE, int), LR, count=BATCH_SIZE)
        with pytest.raises(ConfigError, match='all count, not 5; export the bundle with last_batch="mask"'):
            block.train(x, np.zeros(BATCH_SIZE, int), LR, count=5)


@pytest.mark.parametrize(
    ("module", "call"),
    [
        (step_timing, lambda bundle: step_timing.step_seconds(bundle)),
        (block_timing, lambda bundle: block_timing.time_block(bundle, "block1", "onnxruntime", threads=1, seconds=0.01)),
    ],
)
def test_steps_are_timed_on_whole_batches(
    module: Any, call: Callable[[Bundle], Any], bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Mapping[str, float]] = []

    def load(*arguments: Any, **named: Any) -> BlockRuntime:
        block = load_runtime(*arguments, **named)
        train = block.train
        monkeypatch.setattr(block, "train", lambda x, y, scalars, *rest: (seen.append(scalars), train(x, y, scalars, *rest))[1])
        return block

    monkeypatch.setattr(module, "load_block", load)
    call(bundle)
    assert {"lr": 0.0, "count": float(BATCH_SIZE)} in seen
    assert all(scalars in ({}, {"lr": 0.0, "count": float(BATCH_SIZE)}) for scalars in seen)
