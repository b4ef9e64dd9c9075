"""What is wrong with a graph is one sentence that names the node."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest
from support.nir_graphs import FOREIGN, chain, cuba, full, lif, write

from edgebll.kernel.errors import ConfigError, DataError, ExportError
from edgebll_export.nir.reading import read_graph
from edgebll_export.nir.simulation import simulate

ENDS = {"input": nir.Input(np.array([2])), "output": nir.Output(np.array([2]))}


def refusal(path: Path) -> str:
    with pytest.raises(ExportError) as caught:
        read_graph(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert "\n" not in sentence
    return sentence


def rewritten(path: Path, key: str, value: object) -> Path:
    """A file with one entry replaced, or taken out."""
    with h5py.File(path, "r+") as file:
        del file[key]
        if value is not None:
            file[key] = value
    return path


def test_a_node_of_no_known_kind_is_named(tmp_path: Path) -> None:
    path = rewritten(chain(tmp_path / "g.nir", (2,), lif(2)), "node/nodes/n0/type", b"Izhikevich")
    assert "node n0 is a Izhikevich, which is not known; known are Input, Output, Affine" in refusal(path)


def test_a_parameter_that_is_missing_is_named(tmp_path: Path) -> None:
    path = rewritten(chain(tmp_path / "g.nir", (2,), lif(2)), "node/nodes/n0/v_leak", None)
    assert "node n0 (LIF) lacks v_leak" in refusal(path)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("tau", np.array([np.nan, 0.02]), "tau of node n0 (LIF) holds NaN or infinity"),
        ("tau", np.array([-1.0, 0.02]), "tau of node n0 (LIF) is -1 s; a time must be above 0"),
        ("r", np.array([np.inf, 1.0]), "r of node n0 (LIF) holds NaN or infinity"),
        ("r", b"one", "r of node n0 (LIF) must be numbers"),
        ("v_threshold", np.ones(3), "node n0 (LIF) gets values of shape 2, but takes 3 (v_threshold)"),
    ],
)
def test_values_that_no_neuron_can_have(tmp_path: Path, key: str, value: object, sentence: str) -> None:
    assert sentence in refusal(rewritten(chain(tmp_path / "g.nir", (2,), lif(2)), f"node/nodes/n0/{key}", value))


def test_shapes_that_do_not_fit(tmp_path: Path) -> None:
    affine = nir.Affine(np.ones((2, 3)), np.ones(2))
    assert "node n0 (Affine) gets values of shape 2, but takes 3" in refusal(chain(tmp_path / "a.nir", (2,), affine))
    bias = nir.Affine(np.ones((2, 2)), np.ones(3))
    assert "bias of node n0 (Affine) has shape 3; it must be 2" in refusal(chain(tmp_path / "b.nir", (2,), bias))
    big = nir.Conv2d((3, 3), np.ones((1, 1, 5, 5)), 1, 0, 1, 1, np.ones(1))
    assert "node n0 (Conv2d) gets values of shape 3x3, but takes at least a window of 5x5" in refusal(
        chain(tmp_path / "c.nir", (1, 3, 3), big, output=(1, 1, 1))
    )
    still = chain(tmp_path / "s.nir", (1, 3, 3), nir.Conv2d((3, 3), np.ones((1, 1, 2, 2)), 1, 0, 1, 1, np.ones(1)))
    assert "stride of node n0 (Conv2d) is 0; it must be at least 1" in refusal(rewritten(still, "node/nodes/n0/stride", 0))
    wrong = write(
        tmp_path / "o.nir", {**ENDS, "output": nir.Output(np.array([3])), "n": lif(2)}, [("input", "n"), ("n", "output")]
    )
    assert "node output (Output) gets values of shape 2, but takes 3" in refusal(wrong)


def test_edges_that_make_no_graph(tmp_path: Path) -> None:
    nodes = {**ENDS, "n": lif(2), "w": nir.Linear(np.eye(2))}
    there = [("input", "n"), ("n", "output")]
    nowhere = write(tmp_path / "n.nir", nodes, [*there, ("n", "gone")])
    assert "the edge from n to gone has no node gone to end at" in refusal(nowhere)
    twice = write(tmp_path / "t.nir", {**ENDS, "n": lif(2)}, [*there, there[0]])
    assert "the edge from input to n stands twice" in refusal(twice)
    alone = write(tmp_path / "a.nir", nodes, there)
    assert "no way leads from input to node w (Linear)" in refusal(alone)
    loop = write(tmp_path / "l.nir", {**nodes, "s": nir.Scale(full(2, 1.0))}, [*there, ("n", "w"), ("w", "s"), ("s", "w")])
    assert "the cycle w -> s -> w has no neuron in it" in refusal(loop)
    inputs = write(tmp_path / "i.nir", {**ENDS, "other": nir.Input(np.array([2])), "n": lif(2)}, [*there, ("other", "n")])
    assert re.search(r"the graph has 2 nodes of kind Input \(input, other\); it must have one", refusal(inputs))


def test_files_that_are_no_graphs(tmp_path: Path) -> None:
    whole = (FOREIGN / "lif_norse.nir").read_bytes()
    cases = {"cut.nir": whole[: len(whole) // 2], "text.nir": b"not a graph", "empty.nir": b""}
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="cannot be read as HDF5"):
            read_graph(tmp_path / name)
    with pytest.raises(ConfigError, match="there is no file"):
        read_graph(tmp_path / "gone.nir")
    with h5py.File(tmp_path / "other.nir", "w") as file:
        file["weights"] = np.ones(3)
    with pytest.raises(DataError, match="has no group 'node'"):
        read_graph(tmp_path / "other.nir")
    nir.write(tmp_path / "single.nir", lif(2))
    with pytest.raises(ExportError, match="holds a single LIF, not a graph"):
        read_graph(tmp_path / "single.nir")


def test_wrong_units_and_a_missing_time_step(tmp_path: Path) -> None:
    graph = read_graph(chain(tmp_path / "g.nir", (2,), cuba(2, tau_syn=5e-4)))
    x = np.zeros((1, 3, 2))
    with pytest.raises(ConfigError, match=r"dt is needed: .* has time constants"):
        simulate(graph, x)
    with pytest.raises(ExportError, match=r"tau_syn of node n0 \(CubaLIF\) is 0.0005 s, below the time step of 0.001 s"):
        simulate(graph, x, 1e-3)
    with pytest.raises(ConfigError, match="dt must be a number of seconds, above 0"):
        simulate(graph, x, 0.0)
    with pytest.raises(ConfigError, match="integrator must be one of euler, exact"):
        simulate(graph, x, 1e-4, integrator="midpoint")
    with pytest.raises(DataError, match=r"takes inputs of shape \(samples, time steps, 2\), not \(1, 3, 5\)"):
        simulate(graph, np.zeros((1, 3, 5)), 1e-4)
    with pytest.raises(DataError, match="must be finite numbers"):
        simulate(graph, np.full((1, 3, 2), np.nan), 1e-4)
    assert simulate(graph, x, 5e-4).output.shape == (1, 3, 2)
