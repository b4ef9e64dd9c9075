"""What a network is declared to take, and the samples that are drawn from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks import BlockNetwork, Inputs, make_network


def network(**inputs: Any) -> BlockNetwork:
    first = nn.Sequential(nn.Embedding(10, 4), nn.Flatten())
    return BlockNetwork([first, nn.Linear(12, 5)], 5, (3,), **inputs)


def test_the_dtype_is_that_of_the_examples() -> None:
    examples = torch.randint(0, 10, (4, 3))
    assert network(example_inputs=examples).inputs.dtype == "int64"
    assert network(example_inputs=examples.numpy()).inputs.dtype == "int64"
    assert network(input_dtype=torch.int32, input_range=(0, 9)).inputs.dtype == "int32"
    shipped = make_network("mlp", num_blocks=2, num_classes=5, input_shape=(4,), seed=0)
    assert shipped.inputs == Inputs((4,), "float32")


def test_examples_are_drawn_seeded_each_at_most_once_where_there_are_enough() -> None:
    inputs = Inputs((2,), "int64", examples=torch.arange(12).reshape(6, 2))
    drawn = [inputs.draw(6, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert sorted(drawn[0].flatten().tolist()) == list(range(12))
    more = inputs.draw(20, np.random.default_rng(0))
    assert more.shape == (20, 2)
    assert set(more[:, 0].tolist()) <= {0, 2, 4, 6, 8, 10}


@pytest.mark.parametrize(("dtype", "low", "high"), [("int64", -2, 2), ("uint8", 0, 255), ("int32", 7, 7)])
def test_whole_numbers_are_drawn_from_all_of_their_range(dtype: str, low: int, high: int) -> None:
    drawn = Inputs((500,), dtype, range=(low, high)).draw(8, np.random.default_rng(0))
    assert str(drawn.dtype) == f"torch.{dtype}"
    assert (int(drawn.min()), int(drawn.max())) == (low, high)


def test_floats_are_drawn_from_their_range_or_else_are_normal() -> None:
    drawn = Inputs((1000,), range=(0.5, 2)).draw(4, np.random.default_rng(0))
    assert drawn.dtype == torch.float32
    assert 0.5 <= float(drawn.min()) < 0.51 < 1.99 < float(drawn.max()) <= 2
    normal = Inputs((3, 2)).draw(4, np.random.default_rng(3)).numpy()
    assert np.array_equal(normal, np.random.default_rng(3).standard_normal((4, 3, 2), dtype=np.float32))


def test_truth_values_need_neither() -> None:
    drawn = Inputs((50,), "bool").draw(4, np.random.default_rng(0))
    assert drawn.dtype == torch.bool
    assert 0 < int(drawn.sum()) < 200


def test_whole_numbers_of_which_nothing_is_known_are_not_made_up() -> None:
    with pytest.raises(ConfigError, match="takes int64 inputs, and nothing says which numbers; give example_inputs"):
        network(input_dtype="int64").inputs.draw(2, np.random.default_rng(0))


class Within(nn.Module):
    """Fails on numbers that are not from 3 to 5."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.min() < 3 or x.max() > 5:
            raise ValueError(f"{int(x.min())} to {int(x.max())}")
        return x.float()


@pytest.mark.parametrize(
    "inputs", [{"input_range": (3, 5), "input_dtype": "int64"}, {"example_inputs": torch.tensor([[4, 5]])}]
)
def test_shapes_are_found_with_numbers_that_the_network_takes(inputs: dict[str, Any]) -> None:
    assert BlockNetwork([Within(), nn.Linear(2, 3)], 3, (2,), **inputs).shapes == [(2,), (2,), (3,)]


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({"input_dtype": "float64"}, "the input dtype must be one of float32, int64, int32, uint8, bool, not 'float64'"),
        ({"input_dtype": "uint8", "input_range": (0, 256)}, "whole numbers that uint8 can hold, not 0 and 256"),
        ({"input_dtype": "int64", "input_range": (0, 1.5)}, "whole numbers that int64 can hold"),
        ({"input_range": (2, 1)}, "two finite numbers in order, not 2 and 1"),
        ({"input_range": (0, float("nan"))}, "two finite numbers in order"),
        ({"example_inputs": torch.zeros(4, 2)}, r"a batch of samples \(N, 3\), not of shape \(4, 2\)"),
        ({"example_inputs": torch.zeros(3)}, r"not of shape \(3,\)"),
        ({"example_inputs": torch.zeros(0, 3)}, r"not of shape \(0, 3\)"),
        ({"example_inputs": torch.zeros(4, 3).double()}, "the input dtype must be one of"),
        ({"example_inputs": torch.zeros(4, 3), "input_dtype": "int64"}, "must be int64 as the network takes them, not float32"),
        ({"example_inputs": torch.full((4, 3), torch.nan)}, "must be finite"),
        ({"example_inputs": [torch.zeros(3)]}, "one tensor or array, a batch of samples, not a list"),
    ],
)
def test_declarations_that_cannot_be_are_refused(inputs: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        network(**inputs)


def test_examples_that_the_network_cannot_take_are_refused_with_their_place() -> None:
    with pytest.raises(ConfigError, match=r"block 0 does not take its input of shape \(2, 3\): .*index out of range"):
        network(example_inputs=torch.full((4, 3), 10))
