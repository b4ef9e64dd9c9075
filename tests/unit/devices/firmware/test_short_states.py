"""States in int16 and int8 on microcontrollers: the ordered reference's bits in C, and the steps of a plain PyTorch loop."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from support.c_library import LibraryBlock
from support.emulated_boards import CORES, run_emulated
from support.microcontroller_bundles import batches, bits, microcontroller_bundle, short_bundle
from support.microcontroller_tools import emulated_boards
from torch import Tensor, nn
from torch.nn import functional

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BundleError
from edgebll.kernel.execution.runtime_table import load_block
from edgebll.kernel.microcontroller import plan_block
from edgebll.kernel.microcontroller.ordered_block import OrderedBlock
from edgebll.kernel.microcontroller.ordered_reference import run_ordered
from edgebll.kernel.microcontroller.plan_format import decode
from edgebll.kernel.microcontroller.plan_kernels import factors_of
from edgebll.kernel.microcontroller.plan_parts import PlanDtype, Region
from edgebll.kernel.spec.short_state import DITHER, UNIT

DTYPES = {16: PlanDtype.INT16, 8: PlanDtype.INT8}
CASES = [("mlp", 16), *(pytest.param(*case, marks=pytest.mark.slow) for case in (("mlp", 8), ("lenet", 8), ("resnet", 8)))]
WIDE = [pytest.param(*case, marks=pytest.mark.wide) for case in (("resnet", 16), ("dscnn", 16), ("dscnn", 8))]


@pytest.mark.parametrize(("network", "size"), [*CASES, *WIDE])
def test_the_c_library_has_the_bits_of_the_ordered_reference_over_twenty_steps(network: str, size: int) -> None:
    batch = 1 if network in ("mlp", "lenet") else 2  # of batch norm
    bundle = short_bundle(network, size, batch)
    steps = 20 if network == "mlp" else 2
    for spec in bundle.manifest.blocks:
        own = bits(OrderedBlock(bundle, spec.name), steps)
        with LibraryBlock(bundle, spec.name) as block:
            assert block.error == 0
            assert bits(block, steps) == own


@pytest.mark.parametrize(("network", "size"), [("mlp", 16), pytest.param("lenet", 8, marks=pytest.mark.slow)])
def test_weights_and_moments_are_integers_that_products_take_as_they_are(network: str, size: int) -> None:
    bundle, plain = short_bundle(network, size), microcontroller_bundle(network, 1)
    for spec in bundle.manifest.blocks:
        plan, floats = plan_block(bundle, spec.name), plan_block(plain, spec.name)
        kept = {place.tensor.name for place in plan.state.tensors if place.kept_as == f"int{size}"}
        wide = {tensor.name for tensor in spec.state if len(tensor.shape) > 1 and not tensor.name.startswith("feedback")}
        assert kept == wide
        rounded = sum(tensor.size_bytes for tensor in spec.state if tensor.name in kept)
        units = sum(tensor.size_bytes for tensor in spec.state if tensor.name.startswith(UNIT))
        saved = rounded * (32 - size) // 32 - units
        assert abs(floats.state_bytes - plan.state_bytes - saved) < 4 * len(spec.state)
        assert plan.arena_bytes < floats.arena_bytes + 0.1 * saved + 200, "no copy of weights as floats"
        # Each that a product reads, forward and backward, is read as integers, and so it is in forward passes.
        for graph in ("step", "forward"):
            factors = [factor for kernel in plan.graphs[graph].plan.kernels for factor in factors_of(kernel)]
            states = {factor.dtype for factor in factors if factor.region is Region.STATE} - {PlanDtype.FLOAT32}
            assert states == {DTYPES[size]}


@pytest.mark.parametrize("size", [16, 8])
def test_steps_are_those_of_a_plain_loop_with_the_rounding_written_out(size: int) -> None:
    """By PyTorch's autograd; a sum in another order may round to the next whole number."""
    bundle = short_bundle("mlp", size)
    block = OrderedBlock(bundle, "block1")
    state = {name: torch.from_numpy(value.copy()) for name, value in block.state().items()}
    worst = 0.0
    for x, y in batches(block.spec, 20):
        block.train(x, y, {"lr": 0.05})
        state = loop_step(size, state, torch.from_numpy(x), torch.from_numpy(y))
        found = block.state()
        for name, value in state.items():
            unit = found[UNIT + name].max() if UNIT + name in found else 1e-6
            worst = max(worst, float(np.abs(value.numpy() - found[name]).max() / unit))
        state = {name: torch.from_numpy(value.copy()) for name, value in found.items()}
    assert worst <= 1


def loop_step(size: int, state: Mapping[str, Tensor], x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """One step of a linear classifier with momentum and weight decay, and then the rounding."""
    layer = nn.Linear(16, 10)
    layer.load_state_dict({name: state[f"net.{name}"] for name in ("weight", "bias")})
    functional.cross_entropy(layer(x), y.argmax(1)).backward()
    new = dict(state)
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None
        key = f"net.{name}"
        moment = 0.9 * state[f"momentum.{key}"] + parameter.grad + 1e-4 * state[key]
        new |= {f"momentum.{key}": moment, key: state[key] - 0.05 * moment}
    most, levels, along, step = {16: (32768, 256, 193, 159), 8: (128, 65536, 49471, 40503)}[size]
    for key in ("net.weight", "momentum.net.weight"):
        for row in range(10):
            unit, largest = float(state[UNIT + key][row]), float(state[key][row].abs().max())
            unit = (
                unit * 2
                if largest > 0.75 * most * unit
                else max(unit / 2, 2**-10 / most)
                if largest * 8 < most * unit
                else unit
            )
            for place in range(16):
                amount = (place * along % levels + 0.5) / levels + float(state[DITHER])
                moved = float(new[key][row, place]) / unit + amount % 1 - 0.5
                new[key][row, place] = min(max(round(moved), -most), most - 1) * unit
            new[UNIT + key] = new[UNIT + key].clone()
            new[UNIT + key][row] = unit
    return {**new, DITHER: torch.tensor(math.fmod(float(state[DITHER]) + step / levels, 1.0))}


@pytest.mark.parametrize("size", [16, 8])
def test_onnxruntime_leaves_the_same_integers_or_neighbours(size: int) -> None:
    bundle = short_bundle("mlp", size)
    own, other = OrderedBlock(bundle, "block0"), load_block("onnxruntime", bundle, "block0")
    for x, y in batches(own.spec, 5):
        for block in (own, other):
            block.train(x, y, {"lr": 0.05})
        found, wanted = own.state(), other.state()
        for name in (name for name in found if UNIT + name in found):
            units = found[UNIT + name][:, None]
            apart = np.abs(found[name] - wanted[name]) / units
            assert apart.max() <= 1
            assert (apart > 0).mean() < 0.02
        own.load_state(wanted)
    other.close()


@emulated_boards()
@pytest.mark.parametrize("core", ["M4F", *(pytest.param(name, marks=pytest.mark.slow) for name in ("M3", "M55"))])
@pytest.mark.parametrize("size", [16, pytest.param(8, marks=pytest.mark.slow)])
def test_a_microcontroller_has_the_same_bits(core: str, size: int) -> None:
    bundle = short_bundle("mlp", size)
    plan, spec = plan_block(bundle, "block0"), bundle.manifest.block("block0")
    state, arena = np.zeros(plan.state_bytes, np.uint8), np.zeros(plan.arena_bytes, np.uint8)
    plan.state.write(state, bundle.state("block0"))
    x, y = next(batches(spec, 1))
    for place in plan.graphs["step"].inputs:
        place.elements(arena)[...] = {"x": x, "y": y, "lr": np.float32(0.05)}[place.tensor.name]
    said = run_emulated(CORES[core], plan.encoded["step"], state.tobytes(), arena.tobytes())
    run_ordered(decode(plan.encoded["step"]), state, arena)
    assert (said["error"], said["state"]) == (0, zlib.crc32(state.tobytes()))


def test_a_bundle_that_says_other_bits_is_refused() -> None:
    bundle: Bundle = short_bundle("mlp", 16)
    bundle.manifest.optimizer["state_bits"] = 12
    try:
        with pytest.raises(BundleError, match="has state_bits 12, which must be 32, 16 or 8; export it again"):
            plan_block(bundle, "block0")
    finally:
        bundle.manifest.optimizer["state_bits"] = 16
