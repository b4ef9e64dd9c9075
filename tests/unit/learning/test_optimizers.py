"""The pure optimisers against torch.optim and against float64, and how they are built by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.learning import OPTIMIZERS, SGD, Adam, AdamW, Optimizer, make_optimizer

STEPS = 60
CASES: list[tuple[Optimizer, type[torch.optim.Optimizer], dict[str, Any]]] = [
    (SGD(momentum=0.0, nesterov=False, weight_decay=0.0), torch.optim.SGD, {}),
    (SGD(momentum=0.0, nesterov=False, weight_decay=0.1), torch.optim.SGD, {"weight_decay": 0.1}),
    (SGD(nesterov=False, weight_decay=0.0), torch.optim.SGD, {"momentum": 0.9}),
    (SGD(nesterov=False, weight_decay=0.01), torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.01}),
    (SGD(momentum=0.8, weight_decay=0.01), torch.optim.SGD, {"momentum": 0.8, "weight_decay": 0.01, "nesterov": True}),
    (Adam(), torch.optim.Adam, {}),
    (Adam(weight_decay=0.1), torch.optim.Adam, {"weight_decay": 0.1}),
    (Adam(beta1=0.5, beta2=0.9, epsilon=1e-3), torch.optim.Adam, {"betas": (0.5, 0.9), "eps": 1e-3}),
    (Adam(beta1=0.0), torch.optim.Adam, {"betas": (0.0, 0.999)}),
    (AdamW(), torch.optim.AdamW, {"weight_decay": 0.01}),
    (AdamW(weight_decay=0.3), torch.optim.AdamW, {"weight_decay": 0.3}),
    (AdamW(weight_decay=0.0), torch.optim.AdamW, {"weight_decay": 0.0}),
    (SGD(clip_norm=0.5), torch.optim.SGD, {"momentum": 0.9, "weight_decay": 5e-4, "nesterov": True}),
    (Adam(clip_norm=0.5), torch.optim.Adam, {}),
    (AdamW(clip_norm=100.0), torch.optim.AdamW, {"weight_decay": 0.01}),
]


def start(dtype: torch.dtype) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {"w": (4, 3), "b": (3,), "s": ()}
    return {name: torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for name, shape in shapes.items()}


def gradients(parameters: dict[str, Tensor], step: int) -> dict[str, Tensor]:
    """Of a moving, non-linear valley, whose slopes differ by powers of ten."""
    scales = {"w": 3.0, "b": 1e-2, "s": 0.1}
    return {name: scales[name] * ((value - 0.1 * (step % 7)) ** 3 + 0.2 * value) for name, value in parameters.items()}


def rate(step: int) -> float:
    return 0.05 / (1 + 0.1 * step)


def ours(optimizer: Optimizer, dtype: torch.dtype) -> dict[str, Tensor]:
    parameters = start(dtype)
    moments = optimizer.initial_moments(parameters)
    for step in range(STEPS):
        lr = torch.tensor(rate(step), dtype=dtype)
        new = optimizer.update(parameters, gradients(parameters, step), moments, lr)
        assert new.keys() == parameters.keys() | moments.keys()
        assert all(value.dtype == dtype for value in new.values())
        parameters, moments = {name: new[name] for name in parameters}, {name: new[name] for name in moments}
    return parameters


def theirs(
    kind: Callable[..., torch.optim.Optimizer], options: dict[str, Any], clip: float, dtype: torch.dtype
) -> dict[str, Tensor]:
    parameters: dict[str, Tensor] = {name: torch.nn.Parameter(value) for name, value in start(dtype).items()}
    optimizer = kind(parameters.values(), lr=rate(0), **options)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = rate(step)
        for name, gradient in gradients(parameters, step).items():
            parameters[name].grad = gradient.detach()
        if clip:
            torch.nn.utils.clip_grad_norm_(list(parameters.values()), clip)
        optimizer.step()
    return {name: value.detach() for name, value in parameters.items()}


@pytest.mark.parametrize(("optimizer", "kind", "options"), CASES, ids=lambda value: str(value)[:60])
def test_steps_equal_torch(optimizer: Optimizer, kind: type[torch.optim.Optimizer], options: dict[str, Any]) -> None:
    expected = theirs(kind, options, optimizer.clip_norm, torch.float64)
    exact, single = ours(optimizer, torch.float64), ours(optimizer, torch.float32)
    peer = theirs(kind, options, optimizer.clip_norm, torch.float32)
    for name, value in expected.items():
        torch.testing.assert_close(exact[name], value, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(single[name], value.float(), rtol=2e-6, atol=2e-6)
        torch.testing.assert_close(single[name], peer[name], rtol=3e-5, atol=3e-6)


def test_averages_and_their_weights_settle_over_a_long_run() -> None:
    """After 20000 steps in float32, a constant gradient has been averaged to itself and both weights are 1, up to rounding."""
    optimizer = Adam(beta2=0.999)
    parameters, slope = {"w": torch.zeros(1)}, {"w": torch.full((1,), 0.3)}
    moments = optimizer.initial_moments(parameters)
    for _ in range(20000):
        new = optimizer.update(parameters, slope, moments, torch.tensor(1e-3))
        moments = {name: new[name] for name in moments}
    wanted = {"moment1": 1.0, "moment2": 1.0, "moment1.w": 0.3, "moment2.w": 0.09}
    assert {name: float(value) for name, value in moments.items()} == pytest.approx(wanted, rel=5e-5)


def test_clipping_is_by_the_norm_of_all_gradients_together() -> None:
    slopes = {"a": torch.tensor([3.0, 0.0]), "b": torch.tensor(4.0)}
    zeros = {name: torch.zeros_like(value) for name, value in slopes.items()}
    plain: dict[str, Any] = {"momentum": 0.0, "nesterov": False, "weight_decay": 0.0}
    clipped = SGD(clip_norm=1.0, **plain).update(zeros, slopes, {}, torch.tensor(1.0))
    torch.testing.assert_close(clipped["a"], torch.tensor([-0.6, 0.0]))
    torch.testing.assert_close(clipped["b"], torch.tensor(-0.8))
    loose = SGD(clip_norm=5.1, **plain).update(zeros, slopes, {}, torch.tensor(1.0))
    assert torch.equal(loose["b"], torch.tensor(-4.0))
    silent = SGD(clip_norm=1.0, **plain).update(zeros, zeros, {}, torch.tensor(1.0))
    assert torch.equal(silent["a"], torch.zeros(2))


def test_a_block_has_one_pair_of_weights_whatever_its_parameters() -> None:
    moments = Adam().initial_moments({f"net.{k}": torch.ones(2) for k in range(5)})
    assert [name for name, value in moments.items() if value.dim() == 0] == ["moment1", "moment2"]
    assert len(moments) == 12


def test_without_momentum_there_is_no_moment() -> None:
    assert SGD(momentum=0.0, nesterov=False).initial_moments({"w": torch.zeros(2)}) == {}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_options_build_the_same_optimizer_again(name: str) -> None:
    built = make_optimizer(name, lr="0.25", clip_norm="2")
    assert (built.lr, built.clip_norm, built.name) == (0.25, 2.0, name)
    assert make_optimizer(**built.options()) == built


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("sgd", {"lr": 0.0}, "learning rate"),
        ("sgd", {"lr": float("nan")}, "lr must be a finite number, not nan"),
        ("sgd", {"momentum": 1.0}, "momentum"),
        ("sgd", {"weight_decay": -1.0}, "weight decay"),
        ("sgd", {"weight_decay": float("nan")}, "weight_decay must be a finite number, not nan"),
        ("sgd", {"momentum": 0.0, "nesterov": True}, "Nesterov"),
        ("sgd", {"nesterov": "perhaps"}, "nesterov must be true or false, not 'perhaps'"),
        ("adam", {"beta1": 1.0}, r"beta1 must lie in \[0, 1\)"),
        ("adam", {"beta2": -0.1}, "beta2 must lie"),
        ("adam", {"epsilon": 0.0}, "epsilon must lie between"),
        ("adamw", {"weight_decay": float("inf")}, "weight_decay must be a finite number, not inf"),
        ("adamw", {"clip_norm": -1.0}, "norm to clip at"),
        ("adamw", {"clip_norm": "much"}, "clip_norm must be a float, not 'much'"),
        ("adamw", {"weight_decay": None}, "weight_decay must be a float, not None"),
        ("adam", {"beta1": True}, "beta1 must be a float, not True"),
        ("adam", {"momentum": 0.9}, "the optimizer adam has no option 'momentum'; it has lr, clip_norm, accumulate"),
        ("lion", {}, "unknown optimizer 'lion'; known are sgd, adam, adamw"),
    ],
)
def test_wrong_options_are_refused(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_optimizer(name, **options)
