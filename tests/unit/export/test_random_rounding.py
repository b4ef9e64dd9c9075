"""PyTorch that rounds at random: what rounds moves, what is exact stays, and the reach is what real rounding needs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.learning.modules.seeded_dropout import SeededDropout
from edgebll_export.bundles.random_rounding import NOISE, RandomRounding
from edgebll_export.bundles.rounding_bounds import ASKED_TRIALS, TRIALS, growing_reaches, reaches


def _moved(function: Callable[[Tensor], Tensor], x: Tensor, seed: int = 0) -> Tensor:
    with RandomRounding(seed):
        return function(x)


@pytest.mark.parametrize("dtype", list(NOISE))
def test_operations_are_off_by_their_noise(dtype: torch.dtype) -> None:
    x = torch.rand(10000, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype) + 1
    error = (_moved(torch.exp, x) / torch.exp(x).double() - 1).double()
    assert float(error.std()) == pytest.approx(NOISE[dtype], rel=0.3)
    assert abs(float(error.mean())) < NOISE[dtype] / 10


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.relu(),
        lambda x: torch.where(x > 0, x, 0.0),
        lambda x: (x * 8).floor(),
        lambda x: x.round() + 1,
        lambda x: x.reshape(2, -1).flip(0).clone(),
        lambda x: (x.round() == 1).float().sum(),
        lambda x: F.max_pool1d(x[None], 2),
        lambda x: F.one_hot(x.round().long().clamp(0, 3), 4).float(),
        lambda x: torch.zeros(3).copy_(x[:3]),
    ],
)
def test_what_is_exact_stays(function: Callable[[Tensor], Tensor]) -> None:
    x = torch.linspace(-2, 3, 64)
    assert torch.equal(_moved(function, x), function(x))


def test_generators_of_dropout_draw_the_same_masks() -> None:
    layers = [SeededDropout(0.3, seed=1) for _ in range(2)]
    x = torch.ones(64, 33)
    for _ in range(3):
        expected, moved = layers[0](x), _moved(layers[1], x)
        assert torch.equal(expected == 0, moved == 0)
        assert torch.equal(layers[0].words, layers[1].words)


def test_backward_passes_round_too() -> None:
    def gradient(x: Tensor) -> Tensor:
        leaf = x.clone().requires_grad_()
        torch.tanh(leaf).sum().backward()
        assert leaf.grad is not None
        return leaf.grad

    x = torch.linspace(0.1, 1, 50)
    assert not torch.equal(_moved(gradient, x), gradient(x))
    torch.testing.assert_close(_moved(gradient, x), gradient(x), rtol=1e-4, atol=0)


def test_the_reach_of_a_difference_is_the_rounding_of_its_terms() -> None:
    """A shift in front of batch norm has a gradient of zero; float64 says so, and float32's noise lies within the reach."""
    norm = nn.BatchNorm1d(8).train()
    generator = torch.Generator().manual_seed(0)
    x, target, w = (torch.randn(shape, generator=generator) for shape in ((32, 8), (32, 8), (8, 8)))

    def gradients(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        kind = tensors["x"].dtype
        w, b = (tensors[name].detach().clone().requires_grad_() for name in ("w", "b"))
        hidden = F.batch_norm(tensors["x"] @ w + b, None, None, norm.weight.to(kind), norm.bias.to(kind), True)
        (torch.tanh(hidden) - target.to(kind)).square().sum().backward()
        assert w.grad is not None
        assert b.grad is not None
        return {"w": w.grad, "b": b.grad}

    inputs = {"x": x, "w": w, "b": torch.zeros(8)}
    found = gradients(inputs)
    exact = gradients({name: value.double() for name, value in inputs.items()})
    assert float(exact["b"].abs().max()) < 1e-12
    reach = reaches(gradients, inputs, {name: value.numpy() for name, value in found.items()})
    noise = float(found["b"].abs().max())
    assert 0 < noise < 3 * reach["b"].peak
    assert reach["b"].peak < 1e-3 * float(exact["w"].abs().max())
    assert float((found["w"] - exact["w"]).abs().max()) < reach["w"].peak < 1e-4 * float(exact["w"].abs().max())


def test_reaches_only_grow() -> None:
    x = torch.linspace(-1, 1, 200)

    def function(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"y": torch.tanh(tensors["x"]), "above": tensors["x"] > 0}

    expected = {name: value.numpy() for name, value in function({"x": x}).items()}
    known = list(growing_reaches(function, {"x": x}, expected))
    assert len(known) == ASKED_TRIALS > TRIALS
    for before, after in itertools.pairwise(known):
        assert before["y"].peak <= after["y"].peak
        assert before["y"].mean <= after["y"].mean
        assert not (before["above"] & ~after["above"]).any()
    assert known[0]["y"].peak < known[TRIALS - 1]["y"].peak == reaches(function, {"x": x}, expected)["y"].peak


def test_a_kink_that_the_first_runs_miss_is_found_by_a_later_one() -> None:
    """Of a hundred comparisons at their kink some turn in none of the first runs, and each in one of all that may be asked."""
    x = torch.full((100,), 1e-9)

    def function(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"turned": (tensors["x"] + 1.0 - 1.0 > 0)}

    expected = {"turned": function({"x": x})["turned"].numpy()}
    assert not reaches(function, {"x": x}, expected)["turned"].all()
    *_, last = growing_reaches(function, {"x": x}, expected)
    assert last["turned"].all()


def test_of_comparisons_those_turn_that_rounding_turns() -> None:
    x = torch.tensor([0.3, 0.6, 0.6000001, 0.9])

    def above(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"above": tensors["x"] > 0.6}

    elements = reaches(above, {"x": x}, {"above": above({"x": x})["above"].numpy()})["above"]
    assert elements.tolist() == [False, True, True, False]


def test_what_moves_by_itself_is_not_moved_by_rounding() -> None:
    """A function that gives other results when it is called again has no reach that could excuse an error."""
    scales = itertools.cycle([1.0, 0.5])

    def function(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"y": tensors["x"] * next(scales)}

    assert not list(growing_reaches(function, {"x": torch.ones(3)}, {"y": np.ones(3, np.float32)}))
