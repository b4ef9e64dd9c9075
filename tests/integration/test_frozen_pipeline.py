"""Runs over boards of a network whose first blocks do not train: the same bits, snapshots, recovery and evaluation."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.pipelines import SHORT, invoke, records, summary

from edgebll.data import load_dataset
from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.execution.runtime_table import load_block
from edgebll.kernel.spec.fine_tuning import FineTuning
from edgebll.kernel.state.block_state import load_tensors
from edgebll.learning import BLL, SGD
from edgebll.learning.networks import make_network
from edgebll_devices.runtimes.int8_forward import Int8Forward
from edgebll_export import export_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two blocks that do not train, then two that do."""
    path = tmp_path_factory.mktemp("bundle") / "frozen"
    network = make_network("mlp", num_blocks=4, num_classes=10, input_shape=(1, 8, 8), seed=3)
    tuning = FineTuning(("block[01]",))
    export_bundle(network, rule=BLL(), optimizer=SGD(), batch_size=16, path=path, fine_tuning=tuning)
    return path


@pytest.fixture(scope="module")
def alone(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in one process, with its snapshots."""
    run = tmp_path_factory.mktemp("alone") / "run"
    invoke("simulate", bundle, "--boards", 0, "--snapshot-every", 4, "--keep-snapshots", 9, "--out", run, *SHORT)
    return run


def test_boards_give_the_bits_of_a_run_alone(bundle: Path, alone: Path, tmp_path: Path) -> None:
    invoke("simulate", bundle, "--boards", 3, "--out", tmp_path / "run", *SHORT)
    found, expected = summary(tmp_path / "run"), summary(alone)
    for name in ("state_sha256", "accuracy", "loss", "steps"):
        assert found[name] == expected[name], name
    assert records(tmp_path / "run") == records(alone)
    lines = [json.loads(line) for line in records(alone) if '"train"' in line]
    assert {(line["block"], "loss" in line) for line in lines} == {(f"block{i}", i > 1) for i in range(4)}


def test_snapshots_hold_nothing_of_what_is_frozen(bundle: Path, alone: Path) -> None:
    snapshot = alone / "snapshots" / "step000000004"
    assert load_tensors(snapshot / "block0.safetensors") == load_tensors(snapshot / "block1.safetensors") == {}
    assert load_tensors(snapshot / "block2.safetensors")
    final = open_bundle(alone / "bundle")
    for block in ("block0", "block1"):
        constants, given = final.constants(block), open_bundle(bundle).constants(block)
        assert constants.keys() == given.keys()
        assert all((constants[name] == given[name]).all() for name in given), "the trained bundle still has all weights"


def test_a_run_that_ended_goes_on_from_its_snapshot(alone: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(alone, run, ignore=shutil.ignore_patterns("summary.json", "bundle", "step000000008"))
    config = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**config, "boards": 2}))
    invoke("simulate", "--resume", run)
    assert summary(run)["state_sha256"] == summary(alone)["state_sha256"]
    found = json.loads(invoke("eval", run, "--json"))
    assert found["accuracy"] == pytest.approx(summary(alone)["accuracy"], abs=1e-9)


def test_a_quantised_bundle_has_the_frozen_weights(alone: Path, tmp_path: Path) -> None:
    """And not those that the network is built with, which are of another seed."""
    invoke("quantize", alone / "bundle", "--out", tmp_path / "int8", "--data", "digits")
    bundle = open_bundle(tmp_path / "int8")
    x = load_dataset("digits", "test").inputs(np.arange(16))
    with load_block("onnxruntime", bundle, "block0") as block:
        expected = block.evaluate(x)
    found = Int8Forward(bundle, "block0").evaluate(x)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99
