"""Auxiliary networks as part of the step: their parameters, their running statistics, their number format."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.kernel.bundle import open_bundle
from edgebll.learning import DGL, SGD, BlockPlace, BlockStep, make_steps
from edgebll.learning.modules.pure_module import PureModule
from edgebll.learning.modules.seeding import seeded
from edgebll.learning.networks import Inputs, make_network
from edgebll.learning.objective import Objective, PredictiveObjective
from edgebll.learning.precision import make_precision
from edgebll_export import export_bundle

LR = {"lr": torch.tensor(0.1)}


def first_step(precision: str = "float32") -> BlockStep:
    network = make_network("resnet8", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0)
    return make_steps(network, DGL(), SGD(momentum=0.0, nesterov=False, weight_decay=0.0), 8, precision)[0]


def batch() -> tuple[Tensor, Tensor]:
    return torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.eye(10)[:8]


def test_the_whole_step_is_that_of_modules_with_autograd() -> None:
    """Block and auxiliary network as plain modules: the same parameters and running statistics after three steps."""
    step, (x, y) = first_step(), batch()
    network = make_network("resnet8", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0)
    block = copy.deepcopy(network.blocks[0]).train()
    with seeded(0):
        head = DGL().auxiliary(network.shapes[1], 10).train()
    optimizer = torch.optim.SGD([*block.parameters(), *head.parameters()], lr=0.1)
    state = step.initial_state()
    for _ in range(3):
        state = step(state, x, y, LR).state
        optimizer.zero_grad()
        F.cross_entropy(head(block(x)), y).backward()
        optimizer.step()
    expected = {f"net.{name}": value for name, value in block.state_dict().items()}
    expected |= {f"head.{name}": value for name, value in head.state_dict().items()}
    kept = {name: value for name, value in expected.items() if "num_batches" not in name}
    assert state.keys() == kept.keys()
    assert any(name.startswith("head.") and "running_var" in name for name in kept)
    for name, value in kept.items():
        torch.testing.assert_close(state[name], value, rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.slow
def test_the_forward_graph_holds_no_auxiliary_network(tmp_path: Path) -> None:
    network = make_network("resnet8", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0)
    manifest = export_bundle(network, rule=DGL(), optimizer=SGD(), batch_size=8, path=tmp_path / "b")
    first = manifest.blocks[0]
    assert any(tensor.name.startswith("head.") for tensor in first.state)
    assert not any(name.startswith("head.") for name in first.forward_state)
    assert b"head." not in open_bundle(tmp_path / "b").graph("block0", "forward")
    assert b"head.1.weight" in open_bundle(tmp_path / "b").graph("block0", "step")


@pytest.mark.parametrize(("precision", "computes"), [("mixed", torch.float32), ("bfloat16", torch.bfloat16)])
def test_auxiliary_networks_compute_in_half_precision_if_its_range_is_wide(precision: str, computes: torch.dtype) -> None:
    seen = []

    class Watch(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            result = super().forward(x)
            seen.append((x.dtype, result.dtype))
            return result

    block, place = nn.Linear(4, 6), BlockPlace(0, 2, (6,), 3)
    step = BlockStep(block, PredictiveObjective(lambda: Watch(6, 3)), SGD(), place, Inputs((4,)), 2, make_precision(precision))
    step(step.initial_state(), torch.randn(2, 4), torch.eye(3)[:2], LR)
    assert seen == [(torch.float32, computes)]


def test_overflow_leaves_running_statistics_of_the_head_too() -> None:
    step, (x, y) = first_step("mixed"), batch()
    state = step.initial_state()
    state["scale.factor"] = torch.tensor(2.0**24)
    after = step(state, x, y, LR).state
    assert after["scale.factor"] == 2.0**23
    assert all(torch.equal(after[name], value) for name, value in state.items() if name.startswith("head."))


def test_a_head_called_twice_moves_its_statistics_twice() -> None:
    pure, x = PureModule(nn.BatchNorm1d(3), "head."), torch.randn(5, 3)
    with pure.on(pure.initial, train=True) as call:
        call(x)
        once = call.buffers["head.running_mean"].clone()
        call(x)
    torch.testing.assert_close(once, 0.1 * x.mean(0))
    torch.testing.assert_close(call.buffers["head.running_mean"], 0.19 * x.mean(0))
    assert torch.count_nonzero(pure.initial["head.running_mean"]) == 0
    assert pure.module.training


def test_evaluation_leaves_modes_and_buffers() -> None:
    module = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5))
    module[1].eval()
    pure, x = PureModule(module, ""), torch.randn(5, 3)
    with pure.on(pure.initial, train=False) as call:
        torch.testing.assert_close(call(x), x / (1 + 1e-5) ** 0.5)
    assert torch.equal(call.buffers["0.running_mean"], torch.zeros(3))
    assert [child.training for child in module] == [True, False]


def test_without_a_head_the_output_is_handed_through() -> None:
    assert torch.equal(Objective().head()(torch.ones(2)), torch.ones(2))
    step = make_steps(make_network("mlp", num_blocks=2, num_classes=3, input_shape=(4,), seed=0), DGL(), SGD(), 2)[-1]
    assert not any(name.startswith("head.") for name in step.initial_state())
