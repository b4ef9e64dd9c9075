"""Networks of ours as NIR graphs: what they compute, and that they come back the same."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from support.nir_graphs import FOREIGN, FOREIGN_GRAPHS, chain, foreign, lif
from torch import nn

from edgebll.kernel.errors import ConfigError, ExportError
from edgebll.kernel.tasks import make_task
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.networks.spiking.adaptive import ALIF
from edgebll.learning.networks.spiking.lif import LIF
from edgebll.learning.networks.spiking.over_time import OverTime
from edgebll.learning.networks.spiking.readout import MeanOverTime
from edgebll_export.nir.export_graph import graph_of
from edgebll_export.nir.network.from_graph import NAME
from edgebll_export.nir.reading import read_graph
from edgebll_export.nir.simulation import simulate
from edgebll_export.nir.writing import write_graph


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers for each test, whichever ran before."""
    return np.random.default_rng(8)


CASES: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "lif": ("spiking-mlp", (12, 6), {"width": 9, "depth": 2}),
    "recurrent": (
        "spiking-mlp",
        (12, 6),
        {"width": 7, "depth": 2, "recurrent": True, "neuron": "cuba_lif", "v_threshold": 0.3},
    ),
    "learnt": ("spiking-mlp", (10, 2, 3, 3), {"width": 8, "depth": 2, "learn_tau": True}),
    "static": ("spiking-mlp", (1, 4, 4), {"width": 8, "depth": 2, "time_steps": 9, "neuron": "if"}),
    "conv": ("spiking-conv", (8, 2, 8, 8), {"width": 4, "depth": 2}),
}


def made(case: str, rng: np.random.Generator) -> BlockNetwork:
    """With statistics of batch norms that are not where they begin."""
    name, shape, options = CASES[case]
    network = copy.deepcopy(make_network(name, num_blocks=2, num_classes=5, input_shape=shape, seed=3, options=options))
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.running_mean = torch.from_numpy(rng.normal(0, 0.1, module.num_features).astype(np.float32))
            module.running_var = torch.from_numpy(rng.uniform(0.005, 0.03, module.num_features).astype(np.float32))
            with torch.no_grad():
                module.bias.copy_(torch.from_numpy(rng.uniform(0.0, 0.5, module.num_features)))
    return network.eval()


def written(network: BlockNetwork, path: Path, block: str | None = None) -> Any:
    graph, _, dt = graph_of(network, block, False, "net")
    write_graph(graph, path)
    return read_graph(path), dt


@pytest.mark.parametrize("case", CASES)
def test_a_graph_has_the_scores_of_its_network_and_comes_back_the_same(
    case: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    network = made(case, rng)
    graph, dt = written(network, tmp_path / "net.nir")
    static = case == "static"
    x = (rng.random((6, *network.input_shape)) < 0.4).astype(np.float32)
    over_time = np.repeat(x[:, None], network.time_steps, axis=1) if static else x
    found = simulate(graph, over_time, dt)
    with torch.no_grad():
        scores = network(torch.from_numpy(x)).numpy()
    # Both sum in other orders: a spike may fall a step later. Most must agree to rounding.
    near = np.abs(found.output.mean(1) - scores) < 1e-5
    assert near.mean() > 0.9
    hidden = [found.outputs[node.name] for node in graph.neurons if node.primitive.spikes]
    assert all(0.01 < spikes.mean() < 0.95 for spikes in hidden)
    assert nir.read(tmp_path / "net.nir").metadata.get("dt") == dt
    again = make_network(
        NAME, num_blocks=2, num_classes=5, input_shape=over_time.shape[1:], seed=0, options={"graph": str(tmp_path / "net.nir")}
    )
    back, _ = written(again, tmp_path / "again.nir")
    repeated = simulate(back, over_time, dt)
    for name, spikes in found.outputs.items():
        np.testing.assert_array_equal(repeated.outputs[name], spikes)
    assert equal_files(tmp_path / "net.nir", tmp_path / "again.nir")


def test_a_block_is_a_graph_of_its_own(tmp_path: Path, rng: np.random.Generator) -> None:
    network = made("lif", rng)
    first, dt = written(network, tmp_path / "a.nir", "block0")
    second, _ = written(network, tmp_path / "b.nir", "block1")
    whole, _ = written(network, tmp_path / "c.nir")
    x = rng.random((3, 12, 6)) < 0.4
    middle = simulate(first, x, dt).output
    assert 0.01 < middle.mean() < 0.9
    np.testing.assert_array_equal(simulate(second, middle, dt).output, simulate(whole, x, dt).output)


@pytest.mark.parametrize("name", FOREIGN_GRAPHS)
def test_graphs_of_others_come_out_again_equal(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    """Read and written; and imported as a network and written."""
    write_graph(foreign(name), tmp_path / "plain.nir")
    assert equal_files(FOREIGN / f"{name}.nir", tmp_path / "plain.nir")
    outputs = foreign(name).output_shape
    dt = FOREIGN_GRAPHS[name] if foreign(name).has_times else 0.0
    options = {"graph": str(FOREIGN / f"{name}.nir"), "dt": dt}
    shape = (20, *foreign(name).input_shape)
    task = make_task("classification" if outputs[0] > 1 else "regression")
    network = make_network(NAME, input_shape=shape, seed=0, options=options, task=task, outputs=outputs)
    written(network, tmp_path / "again.nir")
    assert equal_files(FOREIGN / f"{name}.nir", tmp_path / "again.nir")
    x = rng.random((2, *shape)) < 0.4
    before, after = (
        simulate(read_graph(path), x, dt or None).output for path in (FOREIGN / f"{name}.nir", tmp_path / "again.nir")
    )
    assert before.any()
    np.testing.assert_array_equal(before, after)


def test_weights_that_moved_are_written_and_others_keep_their_digits(tmp_path: Path, rng: np.random.Generator) -> None:
    path = chain(
        tmp_path / "g.nir", (3,), nir.Linear(rng.normal(size=(3, 3))), lif(3), nir.Linear(rng.normal(size=(3, 3))), lif(3)
    )
    options = {"graph": str(path), "dt": 1e-3}
    network = copy.deepcopy(make_network(NAME, num_blocks=2, num_classes=3, input_shape=(4, 3), seed=0, options=options))
    linear = next(module for module in network.blocks[1].modules() if isinstance(module, nn.Linear))
    with torch.no_grad():
        linear.weight += 0.25
    back, _ = written(network, tmp_path / "again.nir")
    before = read_graph(path)
    np.testing.assert_array_equal(back.nodes["n0"].values["weight"], before.nodes["n0"].values["weight"])
    np.testing.assert_allclose(back.nodes["n2"].values["weight"], before.nodes["n2"].values["weight"] + 0.25, atol=1e-6)
    assert back.metadata["dt"] == 1e-3


def network_of(neuron: nn.Module, *layers: nn.Module) -> BlockNetwork:
    blocks = [nn.Sequential(OverTime(nn.Linear(4, 4)), neuron, *layers, MeanOverTime())]
    return BlockNetwork(blocks, num_classes=None, input_shape=(6, 4), time_steps=6)


def test_what_nir_has_no_words_for_is_refused_with_its_place() -> None:
    subtract = network_of(LIF(tau=0.01, reset="subtract"))
    with pytest.raises(ExportError, match=r"block0\.1 is reset by subtraction, NIR's neurons to v_reset; train without it"):
        graph_of(subtract, None, False, "net")
    graph, notes, _ = graph_of(subtract, None, True, "net")
    assert notes == ["block0.1 is reset by subtraction, NIR's neurons to v_reset"]
    assert graph.neurons[0].values["v_reset"].tolist() == [0.0] * 4
    with pytest.raises(ExportError, match=r"block0\.1 has a refractory period"):
        graph_of(network_of(LIF(tau=0.01, refractory=2)), None, False, "net")
    with pytest.raises(ExportError, match=r"block0\.1 is a ALIF, which NIR has no neuron for; train lif in its place"):
        graph_of(network_of(ALIF()), None, True, "net")
    with pytest.raises(ExportError, match=r"block0\.2\.layer is a ReLU, which NIR has no node for"):
        graph_of(network_of(LIF(tau=0.01), OverTime(nn.ReLU())), None, False, "net")
    with pytest.raises(ExportError, match="neurons have different time steps"):
        graph_of(network_of(LIF(tau=0.01), LIF(tau=0.01, dt=1e-4)), None, False, "net")
    with pytest.raises(ConfigError, match="block must be one of block0, not 'block7'"):
        graph_of(subtract, "block7", True, "net")
    plain = make_network("mlp", num_blocks=2, num_classes=3, input_shape=(4,), seed=0, options={"width": 4})
    with pytest.raises(ExportError, match="has no spiking neurons"):
        graph_of(plain, None, False, "net")


def equal_files(one: Path, other: Path) -> bool:
    """Whether NIR's own package reads the same nodes with the same values of the same types, and the same edges."""
    a, b = nir.read(one, type_check=False), nir.read(other, type_check=False)
    assert set(a.edges) == set(b.edges)
    assert list(a.nodes) == list(b.nodes)
    for name, node in a.nodes.items():
        twin = b.nodes[name]
        assert type(node) is type(twin)
        for key, value in vars(node).items():
            if isinstance(value, np.ndarray):
                assert value.dtype == vars(twin)[key].dtype, (name, key)
                np.testing.assert_array_equal(value, vars(twin)[key])
    return True
