"""Memory that there is not: a sentence that says who needs it and what to lower."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from edgebll.kernel.errors import ConfigError
from edgebll.learning import SGD, Greedy, make_steps
from edgebll.learning.allocation import telling_of_memory
from edgebll.learning.networks import make_network


@pytest.mark.parametrize(
    ("ask", "asked"),
    [
        (lambda: torch.empty(2**45), r" \(1\.31e\+05 GiB at once\)"),
        (lambda: torch.empty(2**62), ""),  # bytes that no number counts
        (lambda: np.empty(2**55), ""),
    ],
)
def test_what_allocators_say_becomes_one_sentence(ask: Callable[[], object], asked: str) -> None:
    words = f"^this needs more memory than there is{asked}; lower that$"
    with pytest.raises(ConfigError, match=words), telling_of_memory("this", "that"):
        ask()


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), telling_of_memory("this", "that"):
        torch.ones(2, 3) @ torch.ones(2, 3)


def test_a_network_too_large_for_any_machine_says_what_to_lower() -> None:
    words = r"^the network mlp needs more memory than there is.*; lower its options, as with --network-option KEY=VALUE"
    with pytest.raises(ConfigError, match=words):
        make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0, options={"width": "2000000000"})


@pytest.mark.parametrize("width", ["99999999999999999999", "2147483648"])
def test_a_number_that_no_axis_has_is_refused(width: str) -> None:
    with pytest.raises(ConfigError, match=rf"width must be less than \d+, not {width}$"):
        make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0, options={"width": width})


def test_batches_too_large_for_any_machine_are_told_where_they_are_made() -> None:
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0)
    with pytest.raises(ConfigError, match="the batch size must be less than 2147483648, not 99999999999999999999"):
        make_steps(network, Greedy(), SGD(), 99999999999999999999)
