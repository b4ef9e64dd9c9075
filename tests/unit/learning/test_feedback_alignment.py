"""Feedback Alignment: gradients written out with loops, and what stays fixed."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from support import naive
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning import SGD, BlockPlace, FeedbackAlignment, make_steps
from edgebll.learning.networks import BlockNetwork, make_network

Array = np.ndarray


def aligned(block: nn.Module, **options: Any) -> nn.Module:
    return FeedbackAlignment(**options).prepare(block.double(), BlockPlace(0, 1, (3,), 3)).double()


def small() -> nn.Sequential:
    """Two convolutions, the second of stride 2, a ReLU in between, and two linear layers, the last with bias."""
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 3, 2, stride=2, bias=False), nn.Flatten(),
        nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 3),
    )  # fmt: skip


def convolve(x: Array, weight: Array, stride: int, padding: int) -> Array:
    return naive.convolution(torch.from_numpy(x), torch.from_numpy(weight), stride, padding).numpy()


def convolution_gradients(x: Array, error: Array, kernel: Array, stride: int, padding: int) -> tuple[Array, Array]:
    """(error sent back through `kernel`, gradient of the weight), output by output."""
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    back, of_weight = np.zeros_like(padded), np.zeros_like(kernel)
    size = kernel.shape[2]
    for n, g, i, j in np.ndindex(*error.shape):
        rows, columns = slice(i * stride, i * stride + size), slice(j * stride, j * stride + size)
        back[n, :, rows, columns] += error[n, g, i, j] * kernel[g]
        of_weight[g] += error[n, g, i, j] * padded[n, :, rows, columns]
    return back[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]], of_weight


def naive_gradients(w: dict[str, Array], x: Array, labels: list[int]) -> dict[str, Array]:
    """Forward with W, error with B (feedback), gradients of W exact."""
    z0 = convolve(x, w["0.weight"], 1, 1) + w["0.bias"][:, None, None]
    h0 = np.maximum(z0, 0)
    z2 = convolve(h0, w["2.weight"], 2, 0)
    h2 = z2.reshape(len(x), -1)
    z4 = h2 @ w["4.weight"].T + w["4.bias"]
    h4 = np.maximum(z4, 0)
    logits = h4 @ w["6.weight"].T + w["6.bias"]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    e6 = (p - np.eye(3)[labels]) / len(x)
    e4 = (e6 @ w["6.feedback"]) * (z4 > 0)
    e2 = (e4 @ w["4.feedback"]).reshape(z2.shape)
    e1, of_2 = convolution_gradients(h0, e2, w["2.feedback"], 2, 0)
    e0 = e1 * (z0 > 0)
    _, of_0 = convolution_gradients(x, e0, w["0.feedback"], 1, 1)
    return {
        **{"0.weight": of_0, "0.bias": e0.sum((0, 2, 3)), "2.weight": of_2},
        **{"4.weight": e4.T @ h2, "4.bias": e4.sum(0), "6.weight": e6.T @ h4, "6.bias": e6.sum(0)},
    }


@pytest.mark.parametrize("labels", [[0, 2, 2, 2], [1], [0, 1, 2]])
def test_gradients(labels: list[int]) -> None:
    """Absent classes, classes of one sample, a batch of one."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        block = aligned(small(), slope=0.5)
    x = naive.normal(len(labels), 1, 4, 4)
    loss = (
        FeedbackAlignment().objective(BlockPlace(0, 1, (3,), 3)).loss(nn.Identity(), {}, block(x), naive.one_hot(labels, 3))[0]
    )
    names = [name for name, _ in block.named_parameters()]
    actual = dict(zip(names, torch.autograd.grad(loss, list(block.parameters())), strict=True))
    expected = naive_gradients({n: v.detach().numpy() for n, v in block.state_dict().items()}, x.numpy(), labels)
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name].numpy(), value, rtol=1e-9, atol=1e-12, err_msg=name)


LAYERS = {
    "grouped": (nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), (4, 7, 7)),
    "dilated": (nn.Conv2d(2, 3, 3, dilation=2, bias=False), (2, 6, 6)),
    "same": (nn.Conv2d(2, 3, 4, padding="same"), (2, 5, 5)),
    "valid": (nn.Conv2d(2, 3, 2, padding="valid"), (2, 5, 5)),
    "reflected": (nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (2, 5, 5)),
    "circular": (nn.Conv1d(2, 3, 3, padding=2, padding_mode="circular"), (2, 7)),
    "three axes": (nn.Conv3d(2, 3, 2, stride=(1, 2, 1)), (2, 3, 4, 3)),
    "tokens": (nn.Linear(5, 3), (4, 5)),
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("name", LAYERS)
def test_with_its_own_weights_as_feedback_it_is_backpropagation(name: str) -> None:
    layer, shape = LAYERS[name]
    exact = nn.Sequential(copy.deepcopy(layer)).double()
    ours = aligned(exact)
    other = aligned(exact, feedback_seed=1)
    ours[0].feedback.copy_(exact[0].weight.detach())
    x = naive.normal(3, *shape).requires_grad_()

    def gradients(block: nn.Module) -> tuple[Tensor, list[Tensor]]:
        value = block(x)
        return value, list(torch.autograd.grad(value.sin().sum(), [x, *block.parameters()]))

    (value, wanted), (same, found), (again, changed) = map(gradients, (exact, ours, other))
    torch.testing.assert_close(same, value)
    torch.testing.assert_close(again, value)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(changed[1:], wanted[1:])
    assert float((changed[0] - wanted[0]).abs().max()) > 1e-3, "the error must pass through the feedback kernel"


def test_every_layer_has_a_kernel_of_its_own_that_nothing_changes() -> None:
    network = make_network("resnet8", num_blocks=1, num_classes=10, input_shape=(1, 12, 12), seed=0)
    (step,) = make_steps(network, FeedbackAlignment(), SGD(), 8)
    start = step.initial_state()
    kernels = [name for name in start if name.endswith(".feedback")]
    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len(kernels) == len(layers) == 10
    assert not any(f"momentum.{name}" in start for name in kernels)
    assert {name.removeprefix("net.") for name in start if name.startswith("net.") and name not in kernels} == {
        name for name in network.blocks[0].state_dict() if "num_batches" not in name
    }
    x, y = torch.randn(8, 1, 12, 12), torch.eye(10)[:8]
    after, a, _, _ = step(start, x, y, {"lr": torch.tensor(0.1)})
    assert all(torch.equal(after[name], start[name]) for name in kernels)
    assert all(not torch.equal(after[name], start[name]) for name in start if name.endswith("weight"))
    assert torch.allclose(step.forward(start, x), copy.deepcopy(network).eval()(x), atol=1e-6)
    assert torch.isfinite(a).all()


def test_kernels_are_kaiming_uniform_and_seeded() -> None:
    block = nn.Sequential(nn.Linear(300, 200), nn.Conv2d(8, 50, 5))
    first, again, other = (aligned(block, feedback_seed=seed) for seed in (0, 0, 1))
    for layer, fan_in in ((0, 300), (1, 8 * 25)):
        kernel = first[layer].feedback
        bound = math.sqrt(6 / (1 + 5) / fan_in)
        assert 0.99 * bound < float(kernel.abs().max()) <= bound
        assert float(kernel.std()) == pytest.approx(bound / math.sqrt(3), rel=0.02)
        assert torch.equal(kernel, again[layer].feedback)
        assert not torch.equal(kernel, other[layer].feedback)
    wide = aligned(block, slope=0.0)[0].feedback
    assert float(wide.abs().max()) > 2 * math.sqrt(1 / 300)


def test_a_block_that_is_a_layer_and_layers_used_twice() -> None:
    shared = nn.Linear(4, 4)
    network = BlockNetwork([nn.Sequential(shared, nn.Tanh(), shared)], 4, (4,))
    (step,) = make_steps(network, FeedbackAlignment(), SGD(), 2)
    both = [f"net.{place}.{name}" for place in (0, 2) for name in ("weight", "bias", "feedback")]
    assert {name for name in step.initial_state() if name.startswith("net.")} == set(both)
    (step,) = make_steps(BlockNetwork([nn.Linear(4, 3)], 3, (4,)), FeedbackAlignment(), SGD(), 2)
    assert "net.feedback" in step.initial_state()


def test_a_layer_used_twice_sends_its_error_through_b_both_times() -> None:
    shared = nn.Linear(3, 3)
    block = aligned(nn.Sequential(shared, nn.Tanh(), shared))
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    block(x).sum().backward()
    weights = dict(block.named_parameters())
    h, b, error = torch.tanh(x @ weights["0.weight"].T + weights["0.bias"]), block[0].feedback, torch.ones(5, 3).double()
    inner = (error @ b) * (1 - h**2)
    torch.testing.assert_close(weights["0.weight"].grad, error.T @ h + inner.T @ x)
    torch.testing.assert_close(weights["0.bias"].grad, error.sum(0) + inner.sum(0))
    torch.testing.assert_close(x.grad, inner @ b)


def test_it_trains_whole_networks_only() -> None:
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(4,), seed=0)
    with pytest.raises(ConfigError, match="fa trains one block, not 2"):
        make_steps(network, FeedbackAlignment(), SGD(), 8)
