"""`edgebll eval --operations`: a trained spiking network, and its bundle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.pipelines import invoke

FEW = ["--data", "digits", "--limit", "64"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two spiking blocks."""
    path = tmp_path_factory.mktemp("runs") / "spikes"
    options = [word for each in ("width=32", "time_steps=4", "v_threshold=0.1") for word in ("--network-option", each)]
    invoke("train", *FEW, "--network", "spiking-mlp", *options, "--blocks", 2, "--epochs", 1, "--out", path)
    return path


def test_a_table_by_block_with_an_estimate_that_says_so(run: Path) -> None:
    said = invoke("eval", run, *FEW, "--operations")
    found = json.loads(invoke("eval", run, *FEW, "--operations", "--json"))["operations"]
    assert [each["block"] for each in found["blocks"]] == ["block0", "block1"]
    assert (found["samples"], found["not_counted"]) == (64, [])
    first, last = found["blocks"]
    assert first["dense"] > first["effective_macs"] > 0, "pixels are no spikes"
    assert last["effective_macs"] == 0 < last["effective_acs"] < last["dense"]
    assert 0 < first["activation_sparsity"] < 1
    whole = found["network"]
    assert whole["dense"] == first["dense"] + last["dense"]
    low, high = whole["energy_nj"]
    assert low == pytest.approx((0.23 * whole["effective_macs"] + 0.03 * whole["effective_acs"]) / 1000)
    assert 0 < low < high < whole["dense_energy_nj"][1]
    rows = {line.split()[0]: line for line in said.splitlines() if line.split()}
    assert rows["block"].split()[-2:] == ["energy,", "nJ"]
    assert f"{round(last['effective_acs']):,}" in rows["block1"].split()
    assert {"block0", "block1", "all"} < rows.keys()
    assert "Energy is estimated, not measured" in said
    assert "operations" not in json.loads(invoke("eval", run, *FEW, "--json"))


@pytest.mark.slow
def test_its_bundle_has_the_same_figures(run: Path, tmp_path: Path) -> None:
    invoke("export", run, "--out", tmp_path / "bundle")
    counts = [
        json.loads(invoke("eval", path, *FEW, "--operations", "--json"))["operations"] for path in (run, tmp_path / "bundle")
    ]
    assert counts[0] == counts[1]
