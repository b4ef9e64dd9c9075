"""Samples cut in time: shapes of a training step, where samples begin, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgebll.kernel.errors import BundleError
from edgebll.kernel.spec.manifest import BlockSpec, TensorSpec
from edgebll.kernel.spec.time_chunks import RESET, chunk_of, repeated, reset_at, step_input, step_output


def spec(chunks: int, *, static: bool = False, role: str = "activation", scalars: tuple[str, ...] = ("lr", RESET)) -> BlockSpec:
    x = TensorSpec("x", "float32", (2, 5) if static else (2, 6, 5))
    a = TensorSpec("a", "float32", (2, 3) if role == "logits" else (2, 6, 4))
    labels = TensorSpec("y", "float32", (2, 3))
    return BlockSpec("block0", x, labels, a, (), scalars, ("loss",), (), output_role=role, chunks=chunks, static=static)


def test_a_training_step_takes_a_part_of_the_time_steps() -> None:
    assert (step_input(spec(3)).shape, step_output(spec(3)).shape) == ((2, 2, 5), (2, 2, 4))
    assert step_output(spec(3, role="logits")).shape == (2, 3), "scores have no time"
    assert step_input(spec(3, static=True)).shape == (2, 5), "static samples go whole to each"
    whole = spec(1)
    assert (step_input(whole), step_output(whole)) == (whole.input, whole.output)


def test_chunks_put_together_are_the_sample() -> None:
    x = np.random.default_rng(0).standard_normal((2, 6, 5))
    parts = [chunk_of(x, step, 3, static=False) for step in range(6, 9)]
    assert np.array_equal(np.concatenate(parts, 1), x)
    assert [reset_at(step, 3) for step in range(7)] == [1, 0, 0, 1, 0, 0, 1]
    assert chunk_of(x, 4, 3, static=True) is x
    assert repeated(spec(3), x[:, :2]).shape == x.shape
    assert repeated(spec(3, static=True), x[:, 0]).shape == (2, 5)


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        ({"chunks": 4}, r"block0: x of shape \(2, 6, 5\) cannot be cut into 4 equal chunks"),
        ({"chunks": 0}, "a sample takes at least 1 training step, not 0"),
        ({"chunks": 3, "scalars": ("lr",)}, "is not told where a sample begins"),
        ({"chunks": 3, "static": True, "output": TensorSpec("a", "float32", (2,))}, r"a of shape \(2,\) cannot be cut"),
    ],
)
def test_what_cannot_be_cut_is_refused(made: dict[str, object], sentence: str) -> None:
    with pytest.raises(BundleError, match=sentence):
        replace(spec(1), **made)  # type: ignore[arg-type]
