"""Updates of weights skip inputs that are silent: the bits stay those of all terms, and the instructions fall."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from support.microcontroller_tools import emulated_boards
from support.same_bits import assert_same_bits
from support.sparse_plans import DESCENT, MOMENTUM, SPARSE, instructions, weight_update

from edgebll_devices.microcontroller.firmware_build import PROFILE_FLAGS

RATES = (0.0, 0.02, 0.1, 0.3, 0.5, 1.0)
PROGRAMS = {"descent": DESCENT, "momentum": MOMENTUM}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("odd", [0.0, -0.0, -1.0, 0.7], ids=["spikes", "a zero below", "negative", "other numbers"])
def test_updates_have_the_bits_of_all_terms(program: str, odd: float) -> None:
    sizes = itertools.product((1, 4), (2, 9, 37, 64), (2, 5, 40))
    for seed, ((rows, inputs, terms), rate) in enumerate(itertools.product(sizes, RATES)):
        plan, chance = weight_update(rows, inputs, terms, PROGRAMS[program]), np.random.default_rng(seed)
        values = chance.choice([0.0, -0.0, -0.4, 0.6, -1e-30], plan.state_bytes // 4).astype("<f4")
        spikes = (chance.random(terms * inputs) < rate).astype("<f4")
        values[: spikes.size] = (
            np.where(chance.random(spikes.size) < 0.05, np.float32(odd), spikes) if odd or seed % 2 else spikes
        )
        if seed % 3 == 0:  # sums of nothing but zeros below 0
            values[spikes.size : spikes.size + terms * rows] = -np.abs(values[spikes.size : spikes.size + terms * rows])
        assert_same_bits(plan, seed, flags=SPARSE, state=bytearray(values.tobytes()), changes_nothing=True)


@pytest.mark.slow
@emulated_boards()
def test_instructions_of_an_update_fall_with_the_rate() -> None:
    plan, inputs = weight_update(64, 64, 8, MOMENTUM), 8 * 64
    always = instructions(plan, inputs, 0.05, PROFILE_FLAGS["exact"])
    counts = [instructions(plan, inputs, rate, SPARSE) for rate in (0.01, 0.05, 1.0)]
    assert counts == sorted(counts)
    assert 2 * counts[1] < always
    assert counts[2] < 1.05 * always, "looking for zeros costs little where there are none"
