"""What computing again costs, counted on an emulated Cortex-M4F beside what the tables say of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.microcontroller_bundles import microcontroller_bundle
from support.microcontroller_tools import emulated_boards
from support.step_costs import block_cost

from edgebll.kernel.microcontroller import plan_block
from edgebll.kernel.microcontroller.block_memory import BlockMemory


@emulated_boards()
@pytest.mark.parametrize(("network", "block"), [("resnet", "block0"), ("dscnn", "block0"), ("dscnn", "block1")])
def test_a_step_takes_about_as_many_more_instructions_as_is_told(network: str, block: str) -> None:
    bundle = microcontroller_bundle(network, 1)
    kept = replace(bundle, manifest=replace(bundle.manifest, recompute={block: 0}))
    before, after = (plan_block(one, block) for one in (kept, bundle))
    counted = [block_cost(bundle, plan).instructions for plan in (before, after)]
    told = BlockMemory.of(after).sizes()
    assert told["recomputed"] >= 1
    assert told["recomputing_saves_bytes"] == before.arena_bytes - after.arena_bytes > 4000
    assert told["recomputing_costs_percent"] == pytest.approx(100 * (counted[1] / counted[0] - 1), abs=0.6)
