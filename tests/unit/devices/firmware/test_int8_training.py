"""Training steps of precision int8 as plans: what is kept is int8, all runtimes have the same bits, near ONNX Runtime's."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from support.c_library import LibraryBlock
from support.emulated_boards import CORES, run_emulated
from support.microcontroller_bundles import batches, bits, microcontroller_bundle
from support.microcontroller_tools import emulated_boards
from support.slow import slow_after
from support.step_costs import step_memory

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.execution.runtime_table import load_block
from edgebll.kernel.microcontroller import plan_block
from edgebll.kernel.microcontroller.ordered_block import OrderedBlock
from edgebll.kernel.microcontroller.ordered_reference import run_ordered
from edgebll.kernel.microcontroller.plan_kernels import ConvKernel, GemmKernel, factors_of
from edgebll.kernel.microcontroller.plan_parts import PlanDtype

#: Block, batch and steps; those of whole networks are slow.
CASES = [
    ("mlp", "block0", 2, 20),
    ("lenet", "block1", 1, 2),
    ("resnet", "block0", 1, 2),
    ("resnet", "block2", 1, 4),
]
#: Of a step's change of a tensor; a number between two of int8 may fall to either side.
TOLERANCE = 1e-3


def int8(network: str, batch_size: int) -> Bundle:
    return microcontroller_bundle(network, batch_size, "int8")


@pytest.mark.parametrize(("network", "name", "batch_size", "steps"), slow_after(1, CASES))
def test_the_c_library_has_the_bits_of_the_ordered_reference(network: str, name: str, batch_size: int, steps: int) -> None:
    bundle = int8(network, batch_size)
    with LibraryBlock(bundle, name) as block, OrderedBlock(bundle, name) as judge:
        assert block.error == 0
        assert bits(block, steps) == bits(judge, steps)


@pytest.mark.parametrize(("network", "name", "batch_size", "steps"), slow_after(1, CASES))
def test_onnxruntime_computes_the_same_but_for_its_order_of_sums(network: str, name: str, batch_size: int, steps: int) -> None:
    """Both begin each step with the same state."""
    bundle = int8(network, batch_size)
    with load_block("onnxruntime", bundle, name) as other, OrderedBlock(bundle, name) as block:
        for x, y in batches(block.spec, steps):
            before = block.state()
            other.load_state(before)
            results = [one.train(x, y, {"lr": 0.05})[0] for one in (other, block)]
            np.testing.assert_allclose(results[1], results[0], atol=TOLERANCE * float(np.abs(results[0]).max()))
            after = other.state()
            for tensor, value in block.state().items():
                change = float(np.abs(after[tensor] - before[tensor]).max())
                far = float(np.abs(value - after[tensor]).max())
                assert far <= TOLERANCE * change + 1e-6 * float(np.abs(value).max()), tensor


@emulated_boards()
@pytest.mark.parametrize(("network", "name", "steps"), slow_after(1, [("mlp", "block0", 1), ("resnet", "block0", 2)]))
def test_a_cortex_m4f_has_them_too(network: str, name: str, steps: int) -> None:
    bundle = int8(network, 2 if network == "mlp" else 1)
    plan = plan_block(bundle, name)
    state, arena = step_memory(bundle, plan)
    for _ in range(steps):
        given = bytes(arena)
        said = run_emulated(CORES["M4F"], plan.encoded["step"], bytes(state), given)
        left = bytearray(given)
        run_ordered(plan.graphs["step"].plan, np.frombuffer(state, np.uint8), np.frombuffer(left, np.uint8))
        assert (said["error"], said["state"], said["arena"]) == (0, zlib.crc32(state), zlib.crc32(left))


def test_products_read_what_is_kept_as_bytes() -> None:
    """Of a batch of 2: in the forward pass beside weights, and in the backward pass beside the gradient of what they gave."""
    planned = plan_block(int8("mlp", 2), "block0").graphs["step"]
    factors = [factors_of(kernel) for kernel in planned.plan.kernels if isinstance(kernel, GemmKernel | ConvKernel)]
    mixed = [pair for pair in factors if {one.dtype for one in pair} == {PlanDtype.FLOAT32, PlanDtype.INT8}]
    assert len(mixed) >= 4
    assert [buffer.shape for storage in planned.lifetimes for buffer in storage.buffers if buffer.dtype == "int8"] == [
        (2, 64),
        (2, 32),
        (2, 16),
    ]


@pytest.mark.slow
def test_the_arena_is_smaller() -> None:
    """Of the first block, beside the one in float32 with all that can be computed again."""
    plain, rounded = (plan_block(microcontroller_bundle("resnet", 1, one), "block0") for one in ("float32", "int8"))
    assert rounded.arena_bytes < 0.72 * plain.arena_bytes
    assert rounded.state_bytes == plain.state_bytes
