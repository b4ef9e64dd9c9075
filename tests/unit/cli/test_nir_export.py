"""`edgebll nir export` in this process: a trained run becomes a NIR graph."""

from __future__ import annotations

import json
from pathlib import Path

import nir
import numpy as np
import pytest
from support.command_calls import TRAIN, call, sentence
from support.nir_graphs import FOREIGN, chain, lif

from edgebll_export.nir.reading import read_graph
from edgebll_export.nir.simulation import simulate

SPIKING = [*TRAIN[:3], "--network", "spiking-mlp", "--network-option", "width=12", "--network-option", "depth=2", *TRAIN[5:]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a small spiking network on static samples."""
    out = tmp_path_factory.mktemp("runs") / "s"
    call(*SPIKING, "--out", out)
    return out


def test_a_run_becomes_a_graph_that_is_compared_with_it(run: Path, tmp_path: Path) -> None:
    net = tmp_path / "new" / "net.nir"
    told = json.loads(call("nir", "export", run, "-o", net, "--check", "--json").stdout)
    kinds = {"input": "Input", "block0.flatten0": "Flatten", "block0.linear0": "Affine", "block0.lif0": "LIF"}
    assert told["nodes"] == {
        **kinds,
        **{
            "block1.linear0": "Affine",
            "block1.lif0": "LIF",
            "block1.affine0": "Affine",
            "block1.li0": "LI",
            "output": "Output",
        },
    }
    assert (told["dt"], told["samples"], told["left_out"]) == (1e-3, 16, [])
    assert told["same_class"] > 0.9
    assert told["check"]["accuracy"] is not None
    assert {row["platform"] for row in told["check"]["platforms"]} >= {"SpiNNaker2", "Xylo", "Norse"}
    assert nir.read(net).metadata["dt"] == 1e-3
    ran = json.loads(call("nir", "run", net, "--data", "digits", "--samples", "4", "--steps", "8", "--json").stdout)
    assert (ran["dt"], ran["steps"]) == (1e-3, 8)


def test_rounding_is_told_layer_by_layer(run: Path, tmp_path: Path) -> None:
    net = tmp_path / "net.nir"
    text = call("nir", "export", run, "-o", net, "--quantize", "int8").stdout
    assert "what rounding changes" in text
    assert "block0.lif0" in text
    weight = read_graph(net).nodes["block0.linear0"].values["weight"]
    step = np.abs(weight).max() / 127
    np.testing.assert_allclose(weight / step, np.rint(weight / step), atol=1e-3)


def test_one_block_is_written_alone(run: Path, tmp_path: Path) -> None:
    net = tmp_path / "net.nir"
    told = call("nir", "export", run, "-o", net, "--block", "block1").stdout
    assert told.startswith(f"{net}: 6 nodes, time step 0.001 s, neurons block1.lif0 (LIF), block1.li0 (LI) of ")
    assert read_graph(net).input_shape == (12,)


def test_a_graph_may_end_in_spikes_which_chips_take(run: Path, tmp_path: Path) -> None:
    whole, net = tmp_path / "whole.nir", tmp_path / "net.nir"
    levels = []
    for path, options in ((whole, ()), (net, ("--spikes-only",))):
        told = json.loads(call("nir", "export", run, "-o", path, *options, "--check", "--json").stdout)
        assert (told["check"]["accuracy"] is None) == bool(options)
        levels.append(next(row["level"] for row in told["check"]["platforms"] if row["platform"] == "SpiNNaker2"))
    assert levels == ["unsupported", "approximate"]
    assert list(read_graph(net).nodes)[-2:] == ["block1.lif0", "output"]
    x = np.random.default_rng(0).random((2, 8, 1, 8, 8))
    hidden = simulate(read_graph(whole), x, 1e-3).outputs["block1.lif0"]
    np.testing.assert_array_equal(simulate(read_graph(net), x, 1e-3).output, hidden)


def test_an_imported_bundle_leaves_as_it_came(tmp_path: Path) -> None:
    net, product = tmp_path / "g.nir", nir.Linear(np.eye(4))
    chain(net, (4,), product, lif(4, tau=0.003, r=3.0))
    call("nir", "import", net, "--dt", "1e-3", "--steps", "3", "--batch-size", "2", "--blocks", "1", "--out", tmp_path / "n")
    assert ": 4 nodes, time step 0.001 s" in call("nir", "export", tmp_path / "n", "-o", tmp_path / "back.nir").stdout
    assert list(nir.read(tmp_path / "back.nir").nodes) == list(nir.read(net).nodes)


def test_bad_input_is_one_sentence_and_writes_nothing(run: Path, tmp_path: Path) -> None:
    net = tmp_path / "net.nir"
    assert "--block must be one of block0, block1, not 'x'" in sentence(
        call("nir", "export", run, "-o", net, "--block", "x", code=2)
    )
    cases = {
        ("--quantize", "int4"): "--quantize must be one of int8, spinnaker2, xylo",
        ("--data", "gone.npy"): "there is no file",
    }
    for arguments, said in cases.items():
        assert said in sentence(call("nir", "export", run, "-o", net, *arguments, code=2))
    call("nir", "export", FOREIGN, "-o", net, code=3)
    plain = tmp_path / "plain"
    call(*TRAIN, "--out", plain)
    assert "has no spiking neurons" in sentence(call("nir", "export", plain, "-o", net, code=5))
    assert not net.exists()
