"""Precision int8: a block trains as a plain loop does that rounds by hand; what is rounded, and what is not."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from edgebll.learning import SGD, Backprop, BlockStep, make_steps
from edgebll.learning.int8.operators import rounded_to_int8
from edgebll.learning.int8.rounding_mode import Int8Activations
from edgebll.learning.networks import BlockNetwork

LR = {"lr": torch.tensor(0.1)}


def by_hand(x: Tensor) -> Tensor:
    """R(x) in float64, its scale by a logarithm."""
    exact = x.detach().double().numpy()
    largest = float(np.abs(exact).max())
    unit = 2.0 ** math.ceil(math.log2(largest / 127)) if largest else 1.0
    return torch.from_numpy(np.clip(np.rint(exact / unit), -128, 127) * unit).float()


def through(x: Tensor) -> Tensor:
    """R(x), with the gradient of x. The sum is exact: R(x) - x is, for they are near, and so is x plus that."""
    rounded = by_hand(x)
    found = x + (rounded - x).detach()
    assert torch.equal(found, rounded)
    return found


def gated(x: Tensor, value: Tensor, slope: Callable[[Tensor], Tensor]) -> Tensor:
    """R(value), with the gradient of x times the slope that the rounded value has."""
    rounded = by_hand(value)
    return rounded + (x - x.detach()) * slope(rounded)


class Net(nn.Module):
    """All that is treated in one way or another."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.pool, self.act = nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.ReLU(inplace=True)
        self.dense, self.scores = nn.Linear(64, 12), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        first = self.act(self.norm(self.conv1(x)))
        second = F.gelu(self.conv2(first) + first)
        return self.scores(torch.tanh(self.dense(self.pool(second).flatten(1))))

    def written_out(self, x: Tensor) -> Tensor:
        z = F.conv2d(through(x), self.conv1.weight, padding=1)
        z = F.batch_norm(through(z), None, None, self.norm.weight, self.norm.bias, training=True)
        first = gated(z, z.clamp(min=0), lambda y: (y > 0).float())
        summed = F.conv2d(first, self.conv2.weight, self.conv2.bias, padding=1) + first
        second = F.gelu(through(summed))
        flat = F.max_pool2d(through(second), 2).flatten(1)
        z = F.linear(through(flat), self.dense.weight, self.dense.bias)
        return F.linear(gated(z, z.tanh(), lambda y: 1 - y * y), self.scores.weight, self.scores.bias)


def one_block(module: nn.Module, precision: str = "int8") -> BlockStep:
    network = BlockNetwork([module], num_classes=5, input_shape=(1, 8, 8))
    return make_steps(network, Backprop(), SGD(momentum=0.9, weight_decay=0.0, nesterov=False), 6, precision)[0]


def batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(6, 1, 8, 8, generator=generator), torch.eye(5)[torch.randint(0, 5, (6,), generator=generator)]


def seeded_net() -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Net()


def test_it_trains_as_a_plain_loop_that_rounds_by_hand() -> None:
    net, plain = seeded_net(), seeded_net()
    step, optimizer = one_block(net), torch.optim.SGD(plain.parameters(), 0.1, 0.9)
    state = step.initial_state()
    for index in range(4):
        x, y = batch(index)
        state, _, metrics, _ = step(state, x, y, LR)
        loss = F.cross_entropy(plain.written_out(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert float(metrics[0]) == pytest.approx(float(loss.detach()), rel=1e-5)
    for name, value in plain.named_parameters():
        torch.testing.assert_close(state[f"net.{name}"], value.detach(), rtol=1e-4, atol=1e-5)


def test_evaluation_rounds_nothing() -> None:
    step, exact = one_block(seeded_net()), one_block(seeded_net(), "float32")
    state, (x, _) = step.initial_state(), batch()
    assert torch.equal(step.forward(state, x), exact.forward(state, x))


@pytest.mark.parametrize("power", [-90, -40, 0, 3, 60])
def test_the_scale_is_the_smallest_power_of_two_that_fits(power: int) -> None:
    for mantissa in (1.0, 1.25, 1.5, 127 / 64, float(np.nextafter(np.float32(127 / 64), np.float32(2))), 1.999):
        largest = mantissa * 2.0**power
        scale = float(torch.ops.edgebll.int8_scale(torch.tensor([[-largest], [largest / 3]])))
        assert math.frexp(scale)[0] == 0.5
        assert largest <= 127 * scale
        assert largest > 127 * scale / 2 or power < -80


def test_rounding_again_changes_nothing_and_neither_does_rounding_a_part() -> None:
    x = torch.randn(1000, generator=torch.Generator().manual_seed(1)) * 3
    rounded = rounded_to_int8(x)
    assert torch.equal(rounded_to_int8(rounded), rounded)
    assert torch.equal(rounded_to_int8(rounded[:3]), rounded[:3])
    assert torch.equal(rounded_to_int8(torch.zeros(4)), torch.zeros(4))
    assert rounded.unique().numel() < 256
    assert float((rounded - x).abs().max()) <= float(x.abs().max()) / 63 / 2


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_stays_none(value: float) -> None:
    assert not rounded_to_int8(torch.tensor([1.0, value])).isfinite().all()


def test_only_what_a_gradient_needs_is_rounded() -> None:
    """A frozen layer keeps no input; a tensor that was written into is rounded anew."""
    x, frozen = torch.randn(4, 6, generator=torch.Generator().manual_seed(0)), nn.Linear(6, 3).requires_grad_(False)
    free, weight = x.clone().requires_grad_(), torch.eye(6).requires_grad_()
    with Int8Activations():
        assert torch.equal(frozen(x), F.linear(x, frozen.weight, frozen.bias))
        assert torch.equal(frozen(free), F.linear(x, frozen.weight, frozen.bias))
        assert torch.equal(F.linear(input=x, weight=weight), by_hand(x))
        grid = F.relu(free)
        assert torch.equal(F.linear(grid.reshape(4, 6), weight), by_hand(x.relu()))
        grid += 0.01
        assert torch.equal(F.linear(grid, weight), by_hand(by_hand(x.relu()) + 0.01))
        assert torch.equal(F.linear(F.relu(free - 1, True), weight), by_hand((x - 1).relu()))
        with torch.no_grad():
            assert torch.equal(F.relu(free), x.relu())


class Checkpointed(nn.Module):
    """A module whose first half is computed anew in the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.scores = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 16)), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.scores(checkpoint(self.body, x, use_reentrant=False))


def test_what_is_computed_anew_is_rounded_in_neither_pass() -> None:
    module, (x, y) = Checkpointed(), batch()
    step = one_block(module)
    after = step(step.initial_state(), x, y, LR).state
    F.cross_entropy(F.linear(through(module.body(x)), module.scores.weight, module.scores.bias), y).backward()
    for name, value in module.named_parameters():
        assert value.grad is not None
        torch.testing.assert_close(after[f"momentum.net.{name}"], value.grad, rtol=1e-6, atol=1e-7)
