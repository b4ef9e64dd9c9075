"""Steps of spiking blocks on microcontrollers: the C runtime, skipping what is silent or not, has the reference's bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.c_runtime import run_in_c
from support.same_bits import equal_bits
from support.slow import slow_after
from support.step_costs import step_memory

from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.microcontroller import plan_block
from edgebll.kernel.microcontroller.ordered_reference import run_ordered
from edgebll.kernel.microcontroller.plan_format import decode
from edgebll.learning import SGD, make_rule
from edgebll.learning.networks import make_network
from edgebll_devices.microcontroller.firmware_build import PROFILE_FLAGS, SPARSE_FLAGS
from edgebll_export import export_bundle, make_target

STEPS, TIMES, RATE = 3, 4, 0.1
BUILDS = [PROFILE_FLAGS["exact"], SPARSE_FLAGS, (*PROFILE_FLAGS["small"], *SPARSE_FLAGS)]
CASES = {
    "spiking-mlp by BLL": ("spiking-mlp", "bll", (TIMES, 20), {"width": 12, "depth": 2}),
    "spiking-mlp by DECOLLE": ("spiking-mlp", "decolle", (TIMES, 20), {"width": 12, "depth": 2}),
    "spiking-conv by BLL": ("spiking-conv", "bll", (TIMES, 2, 6, 6), {"width": 4, "depth": 2}),
}


@pytest.mark.parametrize("case", slow_after(1, CASES))
def test_a_spiking_step_has_the_bits_of_the_reference(case: str, tmp_path: Path) -> None:
    name, rule, shape, options = CASES[case]
    network = make_network(name, num_blocks=2, num_classes=10, input_shape=shape, seed=0, options=options)
    optimizer, target = SGD(momentum=0.9, nesterov=False), make_target("microcontroller")
    export_bundle(network, rule=make_rule(rule), optimizer=optimizer, batch_size=1, path=tmp_path / "b", target=target)
    bundle, chance = open_bundle(tmp_path / "b"), np.random.default_rng(0)
    for spec in bundle.manifest.blocks:
        block = plan_block(bundle, spec.name)
        state, arena = step_memory(bundle, block)
        (x,) = (place for place in block.graphs["step"].inputs if place.tensor.name == "x")
        before = bytes(state)
        for graph in (*("step",) * STEPS, "forward"):
            spikes = (chance.random(x.tensor.shape) < RATE).astype("<f4")
            if graph == "step":
                arena = step_memory(bundle, block)[1]
                arena[x.offset : x.offset + spikes.nbytes] = spikes.tobytes()
            found = []
            for flags in BUILDS:
                found.append((bytearray(state), bytearray(arena)))
                assert run_in_c(block.encoded[graph], *found[-1], flags=flags) == (0, 0)
            run_ordered(decode(block.encoded[graph]), np.frombuffer(state, np.uint8), np.frombuffer(arena, np.uint8))
            for own_state, own_arena in found:
                assert equal_bits(own_state, state), (spec.name, graph)
                assert equal_bits(own_arena, arena), (spec.name, graph)
        assert bytes(state) != before, "it learnt nothing"
        assert np.isfinite(np.frombuffer(bytes(state[: len(state) // 4 * 4]), "<f4")).all()
