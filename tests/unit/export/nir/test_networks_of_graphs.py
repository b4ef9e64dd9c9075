"""NIR graphs as networks that learn here: the modules against the reference simulation, and where they can be cut."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from support.nir_graphs import FOREIGN_GRAPHS, chain, cuba, foreign, full, lif, write

from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll_export.nir.graph import SpikingGraph
from edgebll_export.nir.network.cutting import unit_plans
from edgebll_export.nir.network.from_graph import NAME
from edgebll_export.nir.network.graph_unit import GraphUnit
from edgebll_export.nir.network.node_modules import make_module
from edgebll_export.nir.reading import read_graph
from edgebll_export.nir.simulation import simulate


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers for each test, whichever ran before."""
    return np.random.default_rng(5)


DT = 1e-3


def computed(graph: SpikingGraph, x: np.ndarray, dt: float) -> np.ndarray:
    """What the units of a graph give one after another (B, T, ...)."""
    value = torch.from_numpy(x.astype(np.float32))
    for plan in unit_plans(graph):
        unit = GraphUnit(plan, [make_module(node, dt, "arctan", 0.0) for node in plan.nodes])
        with torch.no_grad():
            value = unit(value)
    return value.numpy()


@pytest.mark.parametrize("name", FOREIGN_GRAPHS)
def test_graphs_of_others_have_the_spikes_of_the_reference(name: str, rng: np.random.Generator) -> None:
    graph, dt = foreign(name), FOREIGN_GRAPHS[name]
    x = rng.random((2, 20, *graph.input_shape)) < 0.3
    expected = simulate(graph, x, dt, dtype="float32").output
    assert expected.any()
    np.testing.assert_array_equal(computed(graph, x, dt), expected)


def test_every_kind_of_node_is_computed(tmp_path: Path, rng: np.random.Generator) -> None:
    shape = (2, 6, 6)
    grouped = nir.Conv2d((6, 6), rng.normal(size=(4, 1, 3, 3)), 1, 1, 1, 2, rng.normal(size=4))
    pool = nir.SumPool2d(*(np.array(size) for size in ((2, 3), (1, 1), (0, 1))))
    average = nir.AvgPool2d(*(np.array(size) for size in ((2, 2), (2, 2), (0, 0))))
    flat = nir.Flatten({"input": np.array([4, 2, 3])}, 0, -1)
    rest = (nir.Linear(rng.normal(size=(5, 24))), nir.CubaLI(*(full(5, v) for v in (0.004, 0.003, 2.0, 0.1, 1.5))))
    tail = (nir.Scale(full(5, 2.0)), nir.Threshold(full(5, 0.4)), nir.I(full(5, 0.3)), nir.Delay(full(5, 2 * DT)))
    path = chain(
        tmp_path / "a.nir", shape, grouped, lif((4, 6, 6), tau=0.003, r=2.0), pool, average, flat, *rest, *tail, output=(5,)
    )
    x = rng.random((2, 12, *shape)) < 0.4
    graph = read_graph(path)
    expected = simulate(graph, x, DT).output
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(computed(graph, x, DT), expected, rtol=1e-4, atol=1e-4)
    signal = chain(
        tmp_path / "b.nir",
        (2, 9),
        nir.Conv1d(9, rng.normal(size=(3, 2, 3)), 2, 1, 1, 1, np.ones(3)),
        nir.IF(full((3, 5), 1.0), full((3, 5), 1.0)),
        nir.LI(*(full((3, 5), v) for v in (0.005, 1.0, 0.2))),
        output=(3, 5),
    )
    graph, x = read_graph(signal), rng.random((2, 12, 2, 9)) < 0.4
    np.testing.assert_allclose(computed(graph, x, DT), simulate(graph, x, DT).output, rtol=1e-5, atol=1e-5)


def test_ways_back_over_several_layers_stay_inside_a_unit(tmp_path: Path, rng: np.random.Generator) -> None:
    """A cycle over two layers of neurons, and one behind it: cut between them alone."""
    ends = {"input": nir.Input(np.array([4])), "output": nir.Output(np.array([3]))}
    nodes = {
        "a": lif(4, tau=0.003, r=3.0),
        "up": nir.Linear(rng.normal(size=(5, 4))),
        "b": cuba(5, tau_syn=0.002, tau_mem=0.003, r=4.0),
        "down": nir.Affine(rng.normal(size=(4, 5)), rng.normal(size=4)),
        "out": nir.Affine(rng.normal(size=(3, 5)), np.zeros(3)),
        "c": lif(3, tau=0.002, r=2.0),
    }
    edges = [
        ("input", "a"),
        ("a", "up"),
        ("up", "b"),
        ("b", "down"),
        ("down", "a"),
        ("b", "out"),
        ("out", "c"),
        ("c", "output"),
    ]
    path = write(tmp_path / "g.nir", {**ends, **nodes}, edges)
    graph = read_graph(path)
    assert [(plan.source, plan.target) for plan in unit_plans(graph)] == [("input", "b"), ("b", "c")]
    x = rng.random((2, 30, 4)) < 0.5
    expected = simulate(graph, x, DT)
    assert all(expected.outputs[name].sum() > 10 for name in "abc")
    np.testing.assert_array_equal(computed(graph, x, DT), expected.output)
    with pytest.raises(ConfigError, match=r"\(a cycle leads back from b to down\) can be cut into 1 to 2 blocks, not 3"):
        made(path, 3, blocks=3)


def test_what_leads_past_a_layer_is_not_cut_through(tmp_path: Path, rng: np.random.Generator) -> None:
    """The input of the last layer of neurons comes from the second and from past it."""
    ends = {"input": nir.Input(np.array([4])), "output": nir.Output(np.array([3]))}
    nodes = {
        "a": lif(4, tau=0.003, r=3.0),
        "b": lif(4, tau=0.003, r=3.0),
        "w": nir.Linear(rng.normal(size=(3, 4))),
        "c": lif(3, tau=0.002, r=2.0),
    }
    edges = [("input", "a"), ("a", "b"), ("a", "w"), ("b", "w"), ("w", "c"), ("c", "output")]
    graph = read_graph(write(tmp_path / "g.nir", {**ends, **nodes}, edges))
    assert [plan.target for plan in unit_plans(graph)] == ["a", "c"]
    x = rng.random((2, 30, 4)) < 0.5
    expected = simulate(graph, x, DT).output
    assert expected.sum() > 10
    np.testing.assert_array_equal(computed(graph, x, DT), expected)


def made(
    path: Path, classes: int, shape: tuple[int, ...] | None = None, blocks: int | None = 2, **options: object
) -> BlockNetwork:
    given = {"graph": str(path), "dt": DT, **options}
    shape = shape or (20, *read_graph(path).input_shape)
    return make_network(NAME, num_blocks=blocks, num_classes=classes, input_shape=shape, seed=0, options=given)


def test_a_network_reads_rates_out_and_takes_static_samples(tmp_path: Path, rng: np.random.Generator) -> None:
    path = chain(
        tmp_path / "g.nir", (4,), lif(4, tau=0.003, r=3.0), nir.Linear(rng.normal(size=(3, 4))), lif(3, r=9.0), output=(3,)
    )
    x = rng.random((2, 20, 4)).astype(np.float32)
    network = made(path, 3)
    assert (network.shapes, network.time_steps) == ([(20, 4), (20, 4), (3,)], 20)
    expected = simulate(read_graph(path), x, DT).output.mean(1)
    assert expected.any()
    np.testing.assert_allclose(network(torch.from_numpy(x)).detach().numpy(), expected, rtol=0, atol=1e-6)
    still = made(path, 3, (4,), steps=7)
    assert (still.shapes, still.time_steps) == ([(4,), (7, 4), (3,)], 7)
    repeated = np.repeat(x[:, :1], 7, axis=1)
    found = still(torch.from_numpy(x[:, 0])).detach().numpy()
    np.testing.assert_allclose(found, simulate(read_graph(path), repeated, DT).output.mean(1), rtol=0, atol=1e-6)


def test_what_does_not_fit_a_graph_is_one_sentence(tmp_path: Path, rng: np.random.Generator) -> None:
    path = chain(tmp_path / "g.nir", (4,), lif(4), nir.Linear(rng.normal(size=(3, 4))), lif(3), output=(3,))
    with pytest.raises(ConfigError, match=r"takes \(4,\) in each time step, but samples have the shape \(20, 5\)"):
        made(path, 3, (20, 5))
    with pytest.raises(ConfigError, match=r"gives \(3,\) numbers a time step, but the task asks for 4"):
        made(path, 4)
    with pytest.raises(ConfigError, match="has changed since: its SHA-256 was 000000000000"):
        made(path, 3, sha256="0" * 64)
    with pytest.raises(ConfigError, match="can be cut into 1 to 2 blocks, not 3"):
        made(path, 3, blocks=3)
    with pytest.raises(ConfigError, match="needs graph; give it as an option"):
        make_network(NAME, num_blocks=1, num_classes=3, input_shape=(20, 4), seed=0)
