"""A network that came from NIR learns over boards as any other: one hash, and it leaves as NIR again."""

from __future__ import annotations

import json
from pathlib import Path

import nir
import numpy as np
import pytest
from support.command_calls import call
from support.nir_graphs import cuba, full, write

from edgebll_export.nir.reading import read_graph


def recurrent(path: Path) -> Path:
    """Two layers of neurons for digits, the first with connections among them."""
    rng, size = np.random.default_rng(2), 12
    nodes = {
        "input": nir.Input(np.array([1, 8, 8])),
        "flat": nir.Flatten({"input": np.array([1, 8, 8])}, 0, -1),
        "fc1": nir.Affine(rng.normal(0, 0.2, (size, 64)), np.zeros(size)),
        "lif1": cuba(size, tau_syn=0.002, tau_mem=0.003, r=2.0),
        "w_rec": nir.Linear(rng.normal(0, 0.2, (size, size))),
        "fc2": nir.Linear(rng.normal(0, 0.5, (10, size))),
        "li": nir.LI(tau=full(10, 0.004), r=full(10, 1.0), v_leak=full(10, 0.0)),
        "output": nir.Output(np.array([10])),
    }
    edges = [("input", "flat"), ("flat", "fc1"), ("fc1", "lif1"), ("lif1", "w_rec"), ("w_rec", "lif1")]
    return write(path, nodes, [*edges, ("lif1", "fc2"), ("fc2", "li"), ("li", "output")], {"dt": 1e-3})


@pytest.mark.slow
def test_it_learns_over_boards_with_one_hash_and_leaves_again(tmp_path: Path) -> None:
    net, bundle = recurrent(tmp_path / "net.nir"), tmp_path / "bundle"
    call("nir", "import", net, "--blocks", "2", "--steps", "4", "--data", "digits", "--batch-size", "16", "--out", bundle)
    hashes = set()
    for boards in ("0", "2"):
        out = tmp_path / f"run{boards}"
        call("simulate", bundle, "--boards", boards, "--epochs", "1", "--limit", "96", "--out", out)
        hashes.add(json.loads((out / "summary.json").read_text("utf-8"))["state_sha256"])
    assert len(hashes) == 1
    told = json.loads(call("nir", "export", tmp_path / "run2", "-o", tmp_path / "back.nir", "--json").stdout)
    assert (told["dt"], told["same_class"]) == (1e-3, 1.0)
    before, after = read_graph(net), read_graph(tmp_path / "back.nir")
    assert list(before.nodes) == list(after.nodes)
    for name in ("fc1", "w_rec", "fc2"):
        moved = np.abs(after.nodes[name].values["weight"] - before.nodes[name].values["weight"]).max()
        assert 0 < moved < 1, name
    np.testing.assert_array_equal(after.nodes["lif1"].values["tau_mem"], before.nodes["lif1"].values["tau_mem"])
