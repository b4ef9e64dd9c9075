"""`edgebll nir import` in this process: a graph of others becomes a bundle that learns."""

from __future__ import annotations

import json
from pathlib import Path

import nir
import numpy as np
import onnxruntime
import pytest
from support.command_calls import call, sentence
from support.nir_graphs import FOREIGN, chain, foreign, lif

from edgebll.kernel.bundle import open_bundle
from edgebll_export.nir.simulation import simulate

BRAILLE = FOREIGN / "braille_noDelay_bias_zero.nir"


def test_a_recurrent_network_of_others_becomes_blocks_that_learn(tmp_path: Path) -> None:
    """Its forward graphs give what the reference does, its steps are verified and move its weights."""
    out = tmp_path / "n"
    arguments = ("--dt", "1e-4", "--steps", "5", "--batch-size", "4", "--blocks", "2", "--rule", "bll", "--lr", "0.5")
    told = call("nir", "import", BRAILLE, *arguments, "--out", out, "--json").stdout
    blocks = [{"name": "block0", "input": [5, 12], "output": [5, 38]}, {"name": "block1", "input": [5, 38], "output": [7]}]
    assert json.loads(told)["blocks"] == blocks
    bundle = open_bundle(out)
    x = (np.random.default_rng(0).random((4, 5, 12)) < 0.5).astype(np.float32)
    value = x
    for block in bundle.manifest.blocks:
        session = onnxruntime.InferenceSession(bundle.graph(block.name, "forward"))
        given = {**bundle.state(block.name), "x": value}
        (value,) = session.run(["a"], {one.name: given[one.name] for one in session.get_inputs()})
    expected = simulate(foreign("braille_noDelay_bias_zero"), x, 1e-4).output.mean(1)
    assert expected.any()
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-6)
    assert "outputs agree to" in call("verify", out, "--steps", "2").stderr


def test_one_output_is_a_number_to_be_learnt(tmp_path: Path) -> None:
    net = FOREIGN / "lif_norse.nir"
    call("nir", "import", net, "--dt", "1e-4", "--steps", "3", "--batch-size", "4", "--out", tmp_path / "n")
    manifest = open_bundle(tmp_path / "n").manifest
    assert (manifest.task["name"], len(manifest.blocks), manifest.blocks[0].output.shape) == ("regression", 1, (4, 1))
    call("nir", "export", tmp_path / "n", "-o", tmp_path / "back.nir")
    assert nir.read(tmp_path / "back.nir").edges == nir.read(net).edges


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--blocks", "2"), 2, "--dt is needed, in seconds"),
        (("--dt", "1e-3"), 5, "tau_syn of node lif1.lif (CubaLIF) is 0.000222222 s, below the time step of 0.001 s"),
        (
            ("--blocks", "3", "--dt", "1e-4"),
            2,
            "(a cycle leads back from lif1.lif to lif1.w_rec) can be cut into 1 to 2 blocks",
        ),
        (("--dt", "1e-4", "--rule", "nonsense"), 2, "unknown rule 'nonsense'"),
        (("--dt", "1e-4", "--data", "digits"), 2, "--data must ask for 7 numbers a sample"),
        (("--dt", "1e-4", "--steps", "0"), 2, "--steps must be"),
        (("--dt", "1e-4", "--surrogate", "none"), 2, "none"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_no_bundle(
    tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    out = tmp_path / "n"
    assert said in sentence(call("nir", "import", BRAILLE, *arguments, "--out", out, code=code))
    assert not out.exists()


def test_a_bundle_tells_that_its_graph_has_changed(tmp_path: Path) -> None:
    product = nir.Linear(np.eye(4))
    net = chain(tmp_path / "g.nir", (4,), product, lif(4, tau=0.003, r=3.0))
    call("nir", "import", net, "--dt", "1e-3", "--steps", "3", "--batch-size", "2", "--blocks", "1", "--out", tmp_path / "n")
    chain(net, (4,), product, lif(4, tau=0.004, r=3.0))
    assert "has changed since" in sentence(call("verify", tmp_path / "n", code=2))
