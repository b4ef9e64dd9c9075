"""Silent inputs are skipped where the runtime is built for it: the bits stay those of all terms, and the instructions fall."""

from __future__ import annotations

import itertools
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from support.c_runtime import run_in_c
from support.convolution_forms import ConvolutionForm
from support.microcontroller_tools import emulated_boards
from support.random_plans import random_plan
from support.same_bits import assert_same_bits, random_memory
from support.slow import slow_after
from support.sparse_plans import SPARSE, dense, instructions

from edgebll.kernel.microcontroller.plan_format import encode
from edgebll.kernel.microcontroller.plan_kernels import GraphPlan
from edgebll_devices.microcontroller.firmware_build import PROFILE_FLAGS, SPARSE_FLAGS

SMALL = (*PROFILE_FLAGS["small"], *SPARSE_FLAGS)
RATES = (0.0, 0.01, 0.1, 0.4, 0.5, 0.6, 1.0)
FORMS = {
    "many channels": ConvolutionForm((1, 5, 3), (6, 6), (3, 3), (6, 6), 1),
    "two groups": ConvolutionForm((2, 6, 2), (5, 7), (3, 2), (3, 4), 1, stride=2),
    "transposed": ConvolutionForm((1, 4, 3), (5, 9), (3, 3), (10, 18), 1, input_dilation=2),
}


def spikes(size: int, rate: float, seed: int) -> npt.NDArray[np.float32]:
    """Spikes and other numbers at a rate; of the zeros some have a sign."""
    rng = np.random.default_rng(seed)
    fired = rng.random(size) < rate
    values = np.where(rng.random(size) < 0.5, 1.0, rng.standard_normal(size))
    return np.where(fired, values, np.where(rng.random(size) < 0.3, -0.0, 0.0)).astype(np.float32)


def weights(size: int, seed: int) -> npt.NDArray[np.float32]:
    """Numbers, and many zeros of both signs, so that sums are zeros too."""
    rng = np.random.default_rng(seed)
    values = rng.choice([0.0, -0.0, 1.0, -1.0, 0.3, -0.3], size)
    return np.where(rng.random(size) < 0.3, -np.abs(values), values).astype(np.float32)


def state_of(plan: GraphPlan, inputs: int, rate: float, seed: int) -> bytearray:
    """A state that begins with spikes."""
    values = weights(plan.state_bytes // 4, seed)
    values[:inputs] = spikes(inputs, rate, seed)
    return bytearray(values.tobytes())


@pytest.mark.parametrize("flags", [SPARSE, SMALL], ids=["exact", "small"])
@pytest.mark.parametrize("across", [False, True])
def test_products_of_matrices_have_the_bits_of_all_terms(across: bool, flags: tuple[str, ...]) -> None:
    sizes = itertools.product((1, 2), (1, 2, 9, 64), (3, 4, 37))
    for seed, ((rows, inputs, outputs), rate) in enumerate(itertools.product(sizes, RATES)):
        plan = dense(rows, inputs, outputs, across=across, plain=seed % 2 == 0)
        assert_same_bits(plan, seed, flags=flags, state=state_of(plan, rows * inputs, rate, seed))


@pytest.mark.parametrize("form", slow_after(1, FORMS))
def test_convolutions_have_the_bits_of_all_terms(form: str) -> None:
    plan = FORMS[form].plan()
    groups, _, into = FORMS[form].channels
    for seed, rate in enumerate(RATES):
        state = state_of(plan, groups * into * int(np.prod(FORMS[form].inputs)), rate, seed)
        assert_same_bits(plan, seed, flags=SPARSE, state=state)


@pytest.mark.parametrize("kind", [2, 3], ids=["gemm", "conv"])
@pytest.mark.parametrize("seed", slow_after(4, range(20)))
def test_random_kernels_have_the_bits_that_they_always_have(kind: int, seed: int) -> None:
    assert_same_bits(random_plan(Random(seed * 10 + kind), (kind,), 2), seed, flags=SPARSE_FLAGS, changes_nothing=True)


def test_a_silent_input_hides_weights_that_are_no_numbers() -> None:
    """What the specification leaves open: with all terms the sum would be no number."""
    plan = dense(1, 4, 4, across=True, plain=True)
    values = np.ones(plan.state_bytes // 4, np.float32)
    values[:4], values[4:8] = [0, 0, 0, 1], [np.inf, np.nan, 1, 2]
    found = []
    for flags in ((), SPARSE_FLAGS):
        state, arena = bytearray(values.tobytes()), random_memory(plan, 0)[1]
        assert run_in_c(encode(plan), state, arena, flags=flags) == (0, 0)
        found.append(np.frombuffer(bytes(arena), "<f4"))
    assert np.isnan(found[0][0])
    assert found[1][0] == 2
    assert (found[0][1:] == found[1][1:]).all()


@pytest.mark.slow
@emulated_boards()
def test_instructions_fall_with_the_rate() -> None:
    plan = dense(1, 200, 64, across=True, plain=False)
    always = instructions(plan, 200, 0.05, PROFILE_FLAGS["exact"])
    counts = [instructions(plan, 200, rate, SPARSE) for rate in (0.01, 0.05, 0.2, 1.0)]
    assert counts == sorted(counts)
    assert 4 * counts[1] < always
    assert counts[3] < 1.1 * always, "looking for zeros costs little where there are none"
