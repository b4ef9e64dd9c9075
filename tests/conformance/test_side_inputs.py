"""What every runtime promises of samples with several inputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import DataError
from edgebll.kernel.spec.side_inputs import side_inputs
from edgebll_devices.runtimes import BlockRuntime, load_block

Array = np.ndarray[Any, Any]


@pytest.fixture
def block(runtime: str, bundles: dict[str, Bundle]) -> Iterator[BlockRuntime]:
    """The last block: it reads a whole number and readings besides x."""
    with load_block(runtime, bundles["inputs"], "block2") as loaded:
        yield loaded


def _given(seed: int) -> tuple[Array, dict[str, Array]]:
    random = np.random.default_rng(seed)
    inputs: dict[str, Array] = {"kind": random.integers(0, 5, 8), "readings": random.standard_normal((8, 3), dtype=np.float32)}
    return random.standard_normal((8, 8), dtype=np.float32), inputs


def test_an_evaluation_reads_them_as_the_formula_says(block: BlockRuntime) -> None:
    assert [tensor.name for tensor in side_inputs(block.spec)] == ["kind", "readings"]
    state = {name.removeprefix("net."): value for name, value in block.state().items()}
    for seed in range(3):
        x, inputs = _given(seed)
        expected = x * state["kinds.weight"][inputs["kind"]] @ state["last.weight"].T + state["last.bias"]
        np.testing.assert_allclose(block.evaluate(x, inputs), expected + inputs["readings"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (None, "block2 expected to receive kind, readings and got nothing"),
        ({"kind": None}, "expected to receive kind, readings and got readings"),
        ({"mask": np.ones(8)}, "expected to receive kind, readings and got kind, mask, readings"),
        ({"readings": np.ones((8, 4), np.float32)}, r"expected readings as float32\[8, 3\] and got float32\[8, 4\]"),
        ({"kind": np.ones(8, np.int32)}, r"expected kind as int64\[8\] and got int32\[8\]"),
    ],
)
def test_misfits_are_refused_in_evaluation_and_training(
    block: BlockRuntime, changes: dict[str, Array | None] | None, sentence: str
) -> None:
    x, inputs = _given(0)
    before = {name: value.tobytes() for name, value in block.state().items()}
    given = None if changes is None else {name: v for name, v in {**inputs, **changes}.items() if v is not None}
    for call in (
        lambda: block.evaluate(x, given),
        lambda: block.train(x, np.eye(3, dtype=np.float32)[:1].repeat(8, 0), LR, given),
    ):
        with pytest.raises(DataError, match=sentence) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert {name: value.tobytes() for name, value in block.state().items()} == before


LR = {"lr": 0.1}
