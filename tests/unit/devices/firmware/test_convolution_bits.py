"""Convolutions whose outputs meet the input in every way: inside, at edges, in phases, outside; judged by the naive loops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from support.c_runtime import run_in_c
from support.convolution_forms import ConvolutionForm
from support.naive_plan import NaivePlan
from support.same_bits import assert_same_bits, random_memory
from support.slow import slow_after

from edgebll.kernel.microcontroller.plan_format import encode
from edgebll.kernel.microcontroller.plan_kernels import ConvKernel, GraphPlan
from edgebll_devices.microcontroller.firmware_build import PROFILE_FLAGS

SAME_BITS = [pytest.param(PROFILE_FLAGS[name], id=name) for name in ("small", "exact")]
FORMS = {
    "depthwise down columns": ConvolutionForm((2, 1, 1), (9, 4), (3, 3), (9, 4), 1),
    "depthwise of two columns": ConvolutionForm((2, 1, 1), (9, 2), (3, 2), (9, 3), 1),
    "depthwise, strided": ConvolutionForm((2, 1, 1), (9, 5), (3, 3), (5, 3), 1, stride=2),
    "one channel to many": ConvolutionForm((1, 6, 1), (9, 12), (5, 5), (9, 12), 2),
    "many channels": ConvolutionForm((1, 5, 3), (6, 6), (3, 3), (6, 6), 1),
    "of whole maps, as gradients of weights": ConvolutionForm((1, 4, 2), (6, 5), (6, 5), (3, 3), 1),
    "transposed": ConvolutionForm((1, 4, 3), (5, 9), (3, 3), (10, 18), 1, input_dilation=2),
    "transposed by three": ConvolutionForm((1, 1, 2), (4, 5), (3, 2), (11, 14), 2, input_dilation=3),
    "transposed, with outputs that nothing meets": ConvolutionForm((1, 4, 4), (4, 9), (1, 1), (8, 18), 0, input_dilation=2),
    "stride and input dilation": ConvolutionForm((1, 2, 2), (5, 9), (3, 3), (7, 13), 1, stride=2, input_dilation=3),
    "all outside": ConvolutionForm((1, 2, 2), (3, 3), (2, 2), (4, 9), 20),
}


def variants(plan: GraphPlan) -> Iterator[GraphPlan]:
    """With the kernel as it is and turned round, as for gradients; with both flags, of which no bit depends."""
    (kernel,) = plan.kernels
    assert isinstance(kernel, ConvKernel)
    high, wide = kernel.kernel.strides[3:]
    end = (kernel.taps[0] - 1) * high + (kernel.taps[1] - 1) * wide
    strides = (*kernel.kernel.strides[:3], -high, -wide)
    turned = replace(kernel.kernel, offset=kernel.kernel.offset + end, strides=strides)
    for weights, columns in product((kernel.kernel, turned), (False, True)):
        yield replace(plan, kernels=(replace(kernel, kernel=weights, columns=columns),))


@pytest.mark.parametrize("name", FORMS)
def test_fast_sums_are_near_those_of_the_naive_loops(name: str) -> None:
    plan = FORMS[name].plan()
    state, arena = random_memory(plan, 0)
    fast_state, fast = bytearray(state), bytearray(arena)
    assert run_in_c(encode(plan), fast_state, fast, flags=PROFILE_FLAGS["fast"]) == (0, 0)
    NaivePlan(plan, state, arena).run()
    wanted, found = (np.frombuffer(bytes(memory), "<f4") for memory in (arena, fast))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("flags", SAME_BITS)
@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("bias", slow_after(1, [True, False]))
def test_every_form_has_the_bits_of_the_naive_loops(name: str, bias: bool, flags: tuple[str, ...]) -> None:
    for seed, plan in enumerate(variants(replace(FORMS[name], bias=bias).plan())):
        assert_same_bits(plan, seed, flags=flags)
