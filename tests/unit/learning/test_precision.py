"""Mixed precision: master weights, loss scaling inside the step, overflow, and what the exported graph does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edgebll.data import load_dataset
from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.errors import ConfigError
from edgebll.learning import PRECISIONS, SGD, BlockStep, make_rule, make_steps
from edgebll.learning.networks import make_network
from edgebll.learning.precision import FACTOR, GOOD_STEPS, GROWTH_STEPS, INITIAL_FACTOR, MAX_FACTOR
from edgebll_devices.runtimes import load_block
from edgebll_export import export_bundle

BATCH = 16
LR = {"lr": torch.tensor(0.05)}


def _steps(precision: str, batch: int = BATCH) -> list[BlockStep]:
    network = make_network("mlp", num_blocks=2, num_classes=5, input_shape=(1, 6, 6), seed=0)
    return make_steps(network, make_rule("bll"), SGD(), batch, precision)


def _batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    classes = torch.randint(0, 5, (BATCH,), generator=generator)
    return torch.randn(BATCH, 1, 6, 6, generator=generator), torch.eye(5)[classes]


@pytest.mark.parametrize(("precision", "limit"), [("mixed", 0.01), ("bfloat16", 0.12)])
def test_updates_are_those_of_float32_within_rounding(precision: str, limit: float) -> None:
    """After one step from equal weights the momenta, which then are the gradients, agree in direction and size."""
    x, y = _batch()
    exact, rounded = (_steps(name)[0] for name in ("float32", precision))
    first = exact(exact.initial_state(), x, y, LR).state
    second, a, _, _ = rounded(rounded.initial_state(), x, y, LR)
    assert a.dtype == torch.float32
    for name, value in first.items():
        assert second[name].dtype == value.dtype
        if name.startswith("momentum."):
            distance = float((second[name] - value).norm() / value.norm().clamp(min=1e-3))
            assert distance < limit, name
            assert distance > 0, f"{name} was not computed in half precision"


def test_overflow_skips_the_step_and_halves_the_factor() -> None:
    step, (x, y) = _steps("mixed")[0], _batch()
    state = step.initial_state()
    state[FACTOR] = torch.tensor(MAX_FACTOR)  # gradients times this are beyond float16
    after, _, metrics, _ = step(state, x, y, LR)
    assert after[FACTOR] == MAX_FACTOR / 2
    assert after[GOOD_STEPS] == 0
    assert torch.isfinite(metrics).all()
    for name, value in state.items():
        if not name.startswith("scale."):
            assert torch.equal(after[name], value), name


def test_the_factor_doubles_after_good_steps() -> None:
    step, (x, y) = _steps("mixed")[0], _batch()
    state = step.initial_state()
    state[GOOD_STEPS] = torch.tensor(GROWTH_STEPS - 1.0)
    after = step(state, x, y, LR).state
    assert after[FACTOR] == 2 * INITIAL_FACTOR
    assert after[GOOD_STEPS] == 0
    before_last = step({**state, GOOD_STEPS: torch.tensor(3.0)}, x, y, LR).state
    assert (before_last[FACTOR], before_last[GOOD_STEPS]) == (INITIAL_FACTOR, 4)


def test_the_exported_step_skips_too(tmp_path: Path) -> None:
    """The factor is beyond float32 here: ONNX Runtime computes float16 operators in float32 on processors without them."""
    huge = np.float32(3e38)
    network = make_network("mlp", num_blocks=2, num_classes=5, input_shape=(1, 6, 6), seed=0)
    export_bundle(network, rule=make_rule("bll"), optimizer=SGD(), batch_size=BATCH, path=tmp_path / "b", precision="mixed")
    x, y = _batch()
    with load_block("onnxruntime", open_bundle(tmp_path / "b"), "block0") as block:
        state = block.state()
        block.load_state({**state, FACTOR: np.array(huge)})
        block.train(x.numpy(), y.numpy(), {"lr": 0.05})
        after = block.state()
    assert after[FACTOR] == huge / 2
    assert all(np.array_equal(after[name], value) for name, value in state.items() if not name.startswith("scale."))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_it_learns_digits(precision: str) -> None:
    """One pass over the digits; the half precisions end within 3 points of float32's 93 %."""
    data = load_dataset("digits", "train")
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0)
    steps = make_steps(network, make_rule("bll"), SGD(), 32, precision)
    states = {step.name: step.initial_state() for step in steps}
    for start in range(0, len(data) - 31, 32):
        indices = np.arange(start, start + 32)
        x, y = torch.from_numpy(data.inputs(indices)), torch.from_numpy(data.targets(indices))
        for step in steps:
            states[step.name], x, _, _ = step(states[step.name], x, y, LR)
    test = load_dataset("digits", "test")
    x = torch.from_numpy(test.inputs(np.arange(len(test))))
    for step in steps:
        x = step.forward(states[step.name], x)
    accuracy = float((x.argmax(1) == torch.from_numpy(test.labels)).float().mean())
    assert accuracy > 0.88, accuracy


def test_unknown_precision() -> None:
    with pytest.raises(ConfigError, match="one of float32, mixed, bfloat16, int8, not 'fp8'"):
        _steps("fp8")
