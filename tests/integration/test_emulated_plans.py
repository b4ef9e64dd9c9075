"""The same plan on emulated Cortex-M cores, with and without a floating-point unit, and on this machine: the same bits."""

from __future__ import annotations

import zlib
from random import Random

import numpy as np
import pytest
from support.c_runtime import run_in_c
from support.emulated_boards import CORES, run_emulated
from support.microcontroller_tools import emulated_boards
from support.random_plans import random_plan
from support.same_bits import random_memory

from edgebll.kernel.microcontroller.plan_format import encode


@emulated_boards()
@pytest.mark.parametrize("seed", [8, pytest.param(11, marks=pytest.mark.slow), pytest.param(24, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["M4F", *(pytest.param(name, marks=pytest.mark.slow) for name in CORES if name != "M4F")])
def test_a_cortex_m_has_the_bits_of_this_machine(name: str, seed: int) -> None:
    plan = random_plan(Random(seed), kernels=12)
    state, arena = random_memory(plan, seed)
    data = encode(plan)
    said = run_emulated(CORES[name], data, bytes(state), bytes(arena))
    assert said["error"] == 0
    assert run_in_c(data, state, arena) == (0, 0)
    whole = len(arena) // 4 * 4
    assert not np.isnan(np.frombuffer(bytes(arena[:whole]), "<f4")).any(), "the bits of NaN are left open: take another seed"
    assert (said["state"], said["arena"]) == (zlib.crc32(state), zlib.crc32(arena))
    assert said["stack"] < 1024
