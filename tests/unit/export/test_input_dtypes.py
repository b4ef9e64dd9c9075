"""Blocks on whole numbers and on positive ones learn what plain PyTorch does: six cumulative steps, not one line of ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from support.plain_training import BATCH, TOLERANCE, Examples, batches, error_of, export, network_of
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.errors import ConfigError, DataError, ExportError
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll_export import verify_bundle
from edgebll_export.bundles.quantize import quantize_bundle


class Tokens(nn.Module):
    """int64 tokens from 0 to 9."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.mix = nn.Embedding(10, 4), nn.Linear(20, 6)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.mix(self.table(x).flatten(1)))


class FloatTokens(Tokens):
    """The same tokens declared as float32."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.long())


class Pixels(nn.Module):
    """uint8 images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv(x.float() / 255)).mean((2, 3))


class Truth(nn.Module):
    """Truth values."""

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.other = nn.Linear(5, 6), nn.Linear(5, 6)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.mix(x.float()) + self.other((~x).float()))


class Logarithm(nn.Module):
    """Positive numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(5, 6)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.mix(torch.log(x)))


class Root(Logarithm):
    """A root whose gradient at 0 is no number."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sqrt(self.mix(x).relu() * x.sum())


class Masked(nn.Module):
    """A softmax over two of five numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(5, 6)
        self.register_buffer("mask", torch.tensor([0.0, 0.0, *[-torch.inf] * 3]))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.mix(torch.softmax(x + self.mask, dim=1)))


class OneHot(nn.Module):
    """Whole numbers from 0 to 6, declared as float32."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(35, 6)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.mix(F.one_hot(x.long(), 7).float().flatten(1)))


def whole(low: int, high: int, dtype: torch.dtype, *shape: int) -> Examples:
    """Batches of whole numbers from `low` to `high`."""
    return lambda generator: torch.randint(low, high + 1, (BATCH, *shape), generator=generator).to(dtype)


def positive(generator: torch.Generator) -> Tensor:
    return torch.rand(BATCH, 5, generator=generator) + 0.01


CASES: dict[str, tuple[Callable[[], nn.Module], Examples]] = {
    "int64 tokens": (Tokens, whole(0, 9, torch.int64, 5)),
    "int32 tokens": (Tokens, whole(0, 9, torch.int32, 5)),
    "tokens in float32": (FloatTokens, whole(0, 9, torch.float32, 5)),
    "uint8 pixels": (Pixels, whole(0, 255, torch.uint8, 3, 6, 6)),
    "truth values": (Truth, whole(0, 1, torch.bool, 5)),
    "logarithm": (Logarithm, positive),
    "one hot": (OneHot, whole(0, 6, torch.float32, 5)),
}


@pytest.mark.parametrize("name", list(CASES))
def test_six_steps_are_those_of_plain_pytorch(name: str, tmp_path: Path) -> None:
    make, examples = CASES[name]
    first = batches(examples)[0][0]
    assert error_of(make, tmp_path, examples, example_inputs=first) < TOLERANCE
    bundle = open_bundle(tmp_path / "bundle")
    spec = bundle.manifest.block("block0")
    dtype = str(first.dtype).removeprefix("torch.")
    assert spec.input == TensorSpec("x", dtype, tuple(first.shape))
    assert spec.output.dtype == "float32"
    golden = bundle.golden("block0")
    rows = {row.tobytes() for row in first.numpy()}
    assert all(row.tobytes() in rows for step in range(3) for row in golden[f"{step}/x"])
    assert all(np.isfinite(value).all() for value in golden.values())


@pytest.mark.parametrize("name", ["int64 tokens", "uint8 pixels", "logarithm", "one hot"])
@pytest.mark.parametrize("given", ["network", "export"])
def test_verify_draws_from_what_the_network_is_made_for(name: str, given: str, tmp_path: Path) -> None:
    """Examples given to the export alone are found again in the golden vectors."""
    make, examples = CASES[name]
    first = batches(examples)[0][0]
    dtype = str(first.dtype).removeprefix("torch.")
    declared = {"example_inputs": first} if given == "network" else {"input_dtype": dtype}
    torch.manual_seed(0)
    network = network_of(make(), first, **declared)
    export(network, tmp_path / "bundle", examples=first)
    rows = verify_bundle(tmp_path / "bundle", network=network, steps=3)
    assert rows
    assert not [row for row in rows if row.failed]


def test_a_range_is_enough_for_whole_numbers(tmp_path: Path) -> None:
    make, examples = CASES["int64 tokens"]
    assert error_of(make, tmp_path, examples, input_dtype="int64", input_range=(0, 9)) < TOLERANCE
    bundle = open_bundle(tmp_path / "bundle")
    assert bundle.manifest.recipe["inputs"] == "the range 0 to 9"
    golden = bundle.golden("block0")
    assert {int(value) for step in range(3) for value in golden[f"{step}/x"].flatten()} == set(range(10))


def test_whole_numbers_that_nothing_is_known_of_are_asked_for(tmp_path: Path) -> None:
    network = network_of(Tokens(), torch.zeros(1, 5, dtype=torch.int64), input_dtype="int64")
    with pytest.raises(ConfigError, match="takes int64 inputs, and nothing says which numbers; give example_inputs"):
        export(network, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


ZEROS = torch.zeros(2, 5)
TOO_LARGE: dict[str, object] = {"input_dtype": "int64", "input_range": (0, 10)}
CALL = r"\(in \w+\.forward, line \d+ of test_input_dtypes.py\)"


@pytest.mark.parametrize(
    ("make", "example", "inputs", "sentence"),
    [
        (
            Tokens,
            ZEROS.long(),
            TOO_LARGE,
            rf"from the range 0 to 10: IndexError: index out of range in self {CALL}; give samples",
        ),
        (OneHot, ZEROS, {}, rf"from N\(0, 1\): RuntimeError: Class values .* {CALL}; give the network's .* example_inputs"),
        (Logarithm, ZEROS + 1, {}, r"from N\(0, 1\) gives NaN in 'a', .*; give the network's BlockNetwork example_inputs"),
        (
            Root,
            ZEROS,
            {"example_inputs": ZEROS},
            r"from the example inputs gives NaN in 'net\.mix\.weight', .*; give samples",
        ),
    ],
)
def test_inputs_that_a_block_cannot_take_are_told_in_one_sentence(
    make: Callable[[], nn.Module], example: Tensor, inputs: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=f"^block0.* on inputs {sentence}"):
        export(network_of(make(), example, **inputs), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_verify_calls_nothing_equal_or_different_that_is_no_number(tmp_path: Path) -> None:
    examples = batches(positive)[0][0]
    network = network_of(Logarithm(), examples, example_inputs=examples)
    export(network, tmp_path / "bundle")
    with pytest.raises(ExportError, match="block0: a training step on inputs from the example inputs gives NaN in 'a'"):
        verify_bundle(tmp_path / "bundle", network=network, examples=-examples)


def test_a_mask_of_minus_infinity_is_no_fault(tmp_path: Path) -> None:
    network = network_of(Masked(), torch.zeros(2, 5))
    export(network, tmp_path / "bundle")
    assert np.isinf(open_bundle(tmp_path / "bundle").golden("block0")["final/net.mask"]).any()


def test_networks_on_tokens_are_quantised(tmp_path: Path) -> None:
    tokens = torch.randint(0, 10, (BATCH, 5))
    export(network_of(Tokens(), tokens, example_inputs=tokens), tmp_path / "bundle")
    torch.manual_seed(0)
    network = network_of(Tokens(), tokens, example_inputs=tokens)
    quantize_bundle(tmp_path / "bundle", tmp_path / "int8", tokens.numpy(), network=network)
    with pytest.raises(DataError, match=r"takes int64 samples of shape .*, not float32 of shape"):
        quantize_bundle(tmp_path / "bundle", tmp_path / "float", tokens.float().numpy(), network=network)
