"""Computing activations again on a microcontroller: the choice, what it saves, that no bit depends on it, who records it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.microcontroller_bundles import bits
from torch import nn

from edgebll.kernel.bundle import Bundle, open_bundle, write_manifest
from edgebll.kernel.errors import BundleError, ExportError
from edgebll.kernel.execution.runtime_table import load_block
from edgebll.kernel.microcontroller import BlockPlan, plan_block
from edgebll.kernel.microcontroller.block_memory import BlockMemory, MicrocontrollerLimits
from edgebll.kernel.support.bounds import WrongValue
from edgebll.learning import SGD, make_rule
from edgebll.learning.networks import BlockNetwork
from edgebll_export import export_bundle, make_target
from edgebll_export.bundles.microcontroller_fit import fitted

#: Bytes of an activation of the network below.
MAP = 4 * 4 * 8 * 8


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Two convolutions with batch norm and ReLU: what the others are given can be had from what their norms keep."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [_normalised(before) for before in (1, 4)]
        network = BlockNetwork([nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 3))], 3, (1, 8, 8))
    place = tmp_path_factory.mktemp("recompute") / "bundle"
    rule, optimizer, target = make_rule("backprop"), SGD(momentum=0.0, nesterov=False), make_target("microcontroller")
    export_bundle(network, rule=rule, optimizer=optimizer, batch_size=1, path=place, target=target)
    return open_bundle(place)


def _normalised(before: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(before, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())


@pytest.fixture(scope="module")
def at(bundle: Bundle) -> Callable[[int], Bundle]:
    """The bundle with a recorded choice."""
    return lambda count: replace(bundle, manifest=replace(bundle.manifest, recompute={"block0": count}))


@pytest.fixture(scope="module")
def plans(bundle: Bundle, at: Callable[[int], Bundle]) -> list[BlockPlan]:
    """With nothing computed again, with one activation, and so on to all."""
    return [plan_block(at(count), "block0") for count in range(len(plan_block(bundle, "block0").levels))]


def test_each_activation_that_is_computed_again_is_not_kept(bundle: Bundle, plans: list[BlockPlan]) -> None:
    """What a plan says before it is made is what it takes then; the first saves a whole activation, and every one something."""
    assert len(plans) >= 2
    assert [plan.level for plan in plans] == list(range(len(plans)))
    arenas = [plan.arena_bytes for plan in plans]
    assert all([level.arena_bytes for level in plan.levels] == arenas for plan in plans)
    assert arenas[0] - arenas[1] >= MAP
    assert arenas == sorted(set(arenas), reverse=True)
    work = [level.instructions for level in plans[0].levels]
    assert work == sorted(set(work))
    assert plan_block(bundle, "block0").encoded == plans[-1].encoded, "by default all are computed again"
    instructions = [
        sum(len(kernel.program) for kernel in plan.graphs["step"].plan.kernels if hasattr(kernel, "program")) for plan in plans
    ]
    assert instructions == sorted(set(instructions)), "what is computed again is written down again"


def test_no_bit_depends_on_it(plans: list[BlockPlan], at: Callable[[int], Bundle]) -> None:
    """Over three steps, evaluation and feedback."""
    found = []
    for count in (0, len(plans) - 1):
        with load_block("ordered", at(count), "block0") as block:
            found.append(bits(block, 3))
    assert found[0] == found[1]


def test_the_choice_is_given_to_the_manifest(bundle: Bundle, plans: list[BlockPlan]) -> None:
    """Only where less than all is computed again; what does not fit is told what would help."""
    ram = [BlockMemory.of(plan).ram_bytes for plan in plans]
    assert fitted(bundle.path, MicrocontrollerLimits(ram[0])) == {"block0": 0}
    assert fitted(bundle.path, MicrocontrollerLimits(ram[-1])) == {}
    with pytest.raises(ExportError, match=r"^block0 takes [^;]*; [^;]*; take more blocks, a narrower network"):
        fitted(bundle.path, MicrocontrollerLimits(ram[-1] - 1))
    with pytest.raises(ExportError, match="take --recompute auto, more blocks"):
        fitted(bundle.path, MicrocontrollerLimits(ram[0] - 1, None, "none"))


def test_the_manifest_records_it(bundle: Bundle, plans: list[BlockPlan], at: Callable[[int], Bundle], tmp_path: Path) -> None:
    """Whoever opens the bundle plans alike; one that says nothing is written as before."""
    assert b"recompute" not in bundle.manifest_bytes
    link = tmp_path / "bundle"
    link.mkdir()
    for name in bundle.manifest.files:
        (link / name).parent.mkdir(exist_ok=True)
        (link / name).write_bytes((bundle.path / name).read_bytes())
    write_manifest(link, at(1).manifest)
    assert plan_block(open_bundle(link), "block0").encoded == plans[1].encoded


@pytest.mark.parametrize("recompute", [{"block1": 1}, {"block0": -1}])
def test_a_manifest_that_cannot_be_is_refused(bundle: Bundle, recompute: dict[str, int]) -> None:
    with pytest.raises(BundleError, match="recompute names a block of the bundle and a number of 0 or more, not 'block"):
        replace(bundle.manifest, recompute=recompute)


def test_another_choice_is_refused() -> None:
    with pytest.raises(WrongValue, match="recompute must be one of auto, none, all, not 'most'"):
        MicrocontrollerLimits.of("1M", None, "most")
