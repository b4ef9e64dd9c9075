"""Modules that are not ready to be trained are refused before anything else, with what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning import SGD, Greedy, make_steps
from edgebll.learning.networks import BlockNetwork


def network(first: nn.Module) -> BlockNetwork:
    return BlockNetwork([nn.Sequential(nn.Flatten(), first), nn.Linear(8, 10)], num_classes=10, input_shape=(1, 8, 8))


@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: nn.LazyLinear(8),
            r"layer '1' of block 0 \(LazyLinear\) has no 'weight' yet; run one batch through",
        ),
        (
            lambda: nn.Linear(64, 8, device="meta"),
            "layer '1' of block 0 has 'weight' on the device meta",
        ),
        (lambda: torch.compile(nn.Linear(64, 8), backend="eager"), "layer '1' of block 0 was compiled by torch.compile"),
        (lambda: nn.Linear(64, 8).half(), r"its parameters are float16, make it float32 with \.float\(\)"),
        (lambda: nn.Linear(64, 8).double(), r"its parameters are float64, make it float32 with \.float\(\)"),
    ],
)
def test_a_module_that_is_not_ready(make: Callable[[], nn.Module], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        network(make())


def test_within_inference_mode_nothing_is_made_or_trained() -> None:
    made = network(nn.Linear(64, 8))
    with torch.inference_mode():
        with pytest.raises(ConfigError, match=r"within torch.inference_mode\(\) nothing has a gradient"):
            network(nn.Linear(64, 8))
        with pytest.raises(ConfigError, match=r"within torch.inference_mode\(\) nothing has a gradient"):
            make_steps(made, Greedy(), SGD(), 4)


@pytest.mark.filterwarnings("ignore:Anomaly Detection:UserWarning")
def test_within_anomaly_detection_nothing_is_traced() -> None:
    made = network(nn.Linear(64, 8))
    with torch.autograd.detect_anomaly(), pytest.raises(ConfigError, match=r"detect_anomaly\(\) cannot look into steps"):
        make_steps(made, Greedy(), SGD(), 4)
