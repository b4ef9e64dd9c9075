"""The pure SGD against torch.optim.SGD."""

import pytest
import torch

from edgebll.errors import ConfigError
from edgebll.learning import SGD


@pytest.mark.parametrize(
    "options",
    [
        {"momentum": 0.0, "nesterov": False, "weight_decay": 0.0},
        {"momentum": 0.0, "nesterov": False, "weight_decay": 0.1},
        {"momentum": 0.9, "nesterov": False, "weight_decay": 0.0},
        {"momentum": 0.9, "nesterov": False, "weight_decay": 0.01},
        {"momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
    ],
)
def test_ten_steps_equal_torch(options: dict) -> None:
    torch.manual_seed(0)
    target = torch.randn(4, 3, dtype=torch.float64)
    reference = torch.nn.Parameter(torch.randn(4, 3, dtype=torch.float64))
    theirs = torch.optim.SGD([reference], lr=0.1, **options)
    ours = SGD(lr=0.1, **options)
    parameters = {"w": reference.detach().clone()}
    moments = ours.initial_moments(parameters)
    for step in range(10):
        rate = 0.1 / (1 + step)
        theirs.param_groups[0]["lr"] = rate
        theirs.zero_grad()
        ((reference - target) ** 3).sum().backward()
        theirs.step()
        gradient = 3 * (parameters["w"] - target) ** 2
        result = ours.update(parameters, {"w": gradient}, moments, torch.tensor(rate, dtype=torch.float64))
        parameters, moments = {"w": result.pop("w")}, result
    assert torch.allclose(parameters["w"], reference, rtol=1e-12, atol=1e-12)


def test_without_momentum_there_is_no_moment() -> None:
    assert SGD(momentum=0.0, nesterov=False).initial_moments({"w": torch.zeros(2)}) == {}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lr": 0.0}, "learning rate"),
        ({"lr": float("nan")}, "learning rate"),
        ({"momentum": 1.0}, "momentum"),
        ({"weight_decay": -1.0}, "weight decay"),
        ({"momentum": 0.0, "nesterov": True}, "Nesterov"),
    ],
)
def test_wrong_options_are_refused(options: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        SGD(**options)
