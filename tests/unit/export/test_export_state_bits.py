"""`--state-bits` of train and export: what the bundle says, keeps and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.c_library import LibraryBlock
from support.microcontroller_bundles import batches, bits
from torch import nn
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.errors import ExportError
from edgebll.kernel.execution.runtime_table import load_block
from edgebll.kernel.microcontroller import plan_block
from edgebll.kernel.microcontroller.block_memory import MicrocontrollerLimits
from edgebll.kernel.microcontroller.ordered_block import OrderedBlock
from edgebll.kernel.spec.short_state import UNIT
from edgebll.learning import SGD, Optimizer, make_rule
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll_export import export_bundle, make_target

RUN = ("--network", "mlp", "--network-option", "width=16", "--network-option", "depth=2", "--blocks", "2")


def invoke(code: int, *arguments: object) -> str:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == code, result.output
    return result.stdout + result.stderr


def stdout(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "plain"
    invoke(0, "train", "--data", "digits", *RUN, "--limit", 64, "--epochs", 1, "--batch-size", 8, "--out", out)
    return out


def test_any_run_is_exported_with_fewer_bits_and_boards_keep_integers(run: Path, tmp_path: Path) -> None:
    target = ("--target", "microcontroller", "--json")
    told = {
        size: json.loads(stdout("export", run, *target, "--state-bits", size, "--out", tmp_path / str(size)))
        for size in (32, 16, 8)
    }
    rows = {size: document["blocks"][0] for size, document in told.items()}
    assert rows[32]["state_bytes"] > 1.6 * rows[16]["state_bytes"] > 1.6 * 1.4 * rows[8]["state_bytes"]
    bundles = {size: open_bundle(tmp_path / str(size)) for size in (32, 16, 8)}
    assert "state_bits" not in bundles[32].manifest.optimizer
    for size in (16, 8):
        assert bundles[size].manifest.optimizer["state_bits"] == size
        plan, state = plan_block(bundles[size], "block0"), bundles[size].state("block0")
        assert plan.state_bytes == rows[size]["state_bytes"]
        for name, value in bundles[32].state("block0").items():
            units = state.get(UNIT + name)
            apart = np.abs(state[name] - value).max()
            assert apart == 0 if units is None else apart <= units.max() / 2
    invoke(0, "verify", tmp_path / "8", "--steps", 2)


def test_a_run_that_trained_so_is_exported_so(tmp_path: Path) -> None:
    out = ("--limit", 64, "--epochs", 1, "--batch-size", 8, "--out", tmp_path / "run")
    invoke(0, "train", "--data", "digits", *RUN, *out, "--state-bits", 8)
    invoke(0, "export", tmp_path / "run", "--target", "microcontroller", "--out", tmp_path / "bundle")
    bundle = open_bundle(tmp_path / "bundle")
    assert bundle.manifest.optimizer["state_bits"] == 8
    state = bundle.state("block0")
    units = {name.removeprefix(UNIT): value for name, value in state.items() if name.startswith(UNIT)}
    assert any(name.startswith("momentum.") for name in units)
    for name, unit in units.items():
        whole = state[name] / unit.reshape(-1, *(1,) * (state[name].ndim - 1))
        np.testing.assert_array_equal(whole, np.round(whole))
        assert np.abs(whole).max() <= 128


def test_other_numbers_are_refused_before_anything_is_written(run: Path, tmp_path: Path) -> None:
    said = invoke(2, "export", run, "--state-bits", 12, "--out", tmp_path / "none")
    assert "--state-bits must be 32, 16 or 8, not 12" in said
    assert not (tmp_path / "none").exists()
    assert "state_bits must be 32, 16 or 8, but is 12" in invoke(2, "train", "--state-bits", 12, "--out", tmp_path / "none")


def test_a_refusal_for_lack_of_memory_names_the_option_that_helps(tmp_path: Path) -> None:
    def refused(state_bits: int, features: int = 64, batch_size: int = 1) -> str:
        network = BlockNetwork([nn.Linear(features, features)], num_classes=features, input_shape=(features,))
        how: dict[str, Any] = {"rule": make_rule("backprop"), "target": make_target("microcontroller")}
        how |= {"optimizer": SGD(lr=0.1, state_bits=state_bits), "limits": MicrocontrollerLimits.of("14k", None)}
        with pytest.raises(ExportError) as caught:
            export_bundle(network, batch_size=batch_size, path=tmp_path / "none", **how)
        return str(caught.value)

    assert "most of it is state: weights, moments and statistics; take --state-bits 16, more blocks" in refused(32)
    assert "take --state-bits 8, more blocks" in refused(16)
    assert "take more blocks" in refused(8)
    assert "take a smaller batch than 64, more blocks" in refused(32, 8, 64), "most of it is activations"
    assert not (tmp_path / "none").exists()


CASES: dict[str, tuple[str, Optimizer]] = {
    "updates every second step": ("greedy", SGD(lr=0.1, accumulate=2, state_bits=8)),
    "a clipped norm, Nesterov": ("backprop", SGD(lr=0.1, clip_norm=0.5, state_bits=8)),
}


@pytest.mark.parametrize("name", CASES)
def test_however_a_step_ends_the_bits_are_the_same(name: str, tmp_path: Path) -> None:
    """Optimisers in which something lies between the gradient and the rounding, or behind it."""
    rule, optimizer = CASES[name]
    torch.manual_seed(0)
    blocks: list[nn.Module] = [nn.Sequential(nn.Linear(12, 9), nn.ReLU()), nn.Linear(9, 3)]
    whole = [nn.Sequential(*blocks)] if rule == "backprop" else blocks
    network = BlockNetwork(whole, num_classes=3, input_shape=(12,))
    how: dict[str, Any] = {"rule": make_rule(rule), "optimizer": optimizer, "target": make_target("microcontroller")}
    export_bundle(network, batch_size=2, path=tmp_path / "bundle", **how)
    bundle: Bundle = open_bundle(tmp_path / "bundle")
    own = bits(OrderedBlock(bundle, "block0"), 6)
    with LibraryBlock(bundle, "block0") as block:
        assert bits(block, 6) == own


@pytest.mark.slow
def test_a_next_value_that_is_chosen_behind_the_rounding_is_divided_by_its_unit(tmp_path: Path) -> None:
    """BackLink takes the update of the step before or leaves it: there is no product with a unit at the end."""
    network = make_network(
        "mlp", num_blocks=2, num_classes=3, input_shape=(12,), seed=0, options={"width": 8, "depth": 3}, split="even"
    )
    how: dict[str, Any] = {"rule": make_rule("backlink"), "target": make_target("microcontroller")}
    export_bundle(network, optimizer=SGD(lr=0.1, state_bits=16), batch_size=2, path=tmp_path / "bundle", **how)
    bundle = open_bundle(tmp_path / "bundle")
    own, other = OrderedBlock(bundle, "block0"), load_block("onnxruntime", bundle, "block0")
    assert any(place.kept_as == "int16" for place in own.plan.state.tensors)
    received = {tensor.name: np.full(tensor.shape, 0.01, np.float32) for tensor in own.spec.received}
    for x, y in batches(own.spec, 3):
        for block in (own, other):
            block.train(x, y, {"lr": 0.1}, received)
        found, wanted = own.state(), other.state()
        for name, value in found.items():
            units = found.get(UNIT + name)
            numbers: Any = value
            apart = np.abs(numbers - wanted[name]).max()
            assert apart <= (1e-5 if units is None else float(units.max())), name
        own.load_state(wanted)
    other.close()
