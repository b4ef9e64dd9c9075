"""The fidelity report against simulators of others, and what it says of platforms."""

from __future__ import annotations

import sys
from pathlib import Path

import nir
import numpy as np
import pytest
from support.nir_graphs import FOREIGN, FOREIGN_GRAPHS, chain, cuba, full, lif

from edgebll_export.nir.fidelity.compare import FidelityReport, SimulatorComparison, check_graph
from edgebll_export.nir.fidelity.platforms import PLATFORMS
from edgebll_export.nir.fidelity.support import support_of
from edgebll_export.nir.inputs import InputChoice
from edgebll_export.nir.quantization import quantized
from edgebll_export.nir.reading import read_graph

CHOICE = InputChoice(samples=2, steps=20, rate=0.3)


def of(report: FidelityReport, name: str) -> SimulatorComparison:
    """What a simulator made of it; the test is passed over where it is not installed."""
    found = next(one for one in report.simulators if one.name == name)
    if found.missing:
        pytest.skip(f"{name}: {found.missing}; see `make setup`")
    return found


@pytest.mark.parametrize("simulator", ["norse", "snntorch"])
@pytest.mark.parametrize("name", FOREIGN_GRAPHS)
def test_spikes_and_membranes_of_simulators_equal_the_reference(name: str, simulator: str) -> None:
    """To the rounding of float32, but for snnTorch's IF, which is no IF."""
    report = check_graph(FOREIGN / f"{name}.nir", CHOICE, dt=FOREIGN_GRAPHS[name])
    layers = of(report, simulator).layers
    assert layers
    for layer in layers:
        if (name, simulator) == ("cnn_sinabs", "snntorch"):
            assert layer.first is not None
            assert layer.why == "an IF becomes a Leaky with beta 0.9 that is reset by subtraction"
        else:
            assert (layer.first, layer.spikes, layer.why) == (None, layer.theirs, "")
            assert layer.error < 5e-5


@pytest.mark.parametrize("simulator", ["norse", "snntorch"])
def test_neurons_equal_those_of_simulators_to_a_millionth(simulator: str, tmp_path: Path) -> None:
    """LIF and current-based LIF over 100 steps with spikes."""
    plain = chain(tmp_path / "l.nir", (5,), nir.Scale(full(5, 3.0)), lif(5, tau=8e-4))
    current_based = chain(tmp_path / "c.nir", (5,), nir.Scale(full(5, 0.7)), cuba(5, tau_syn=4e-4, tau_mem=1e-3, r=10.0))
    for path in (plain, current_based):
        report = check_graph(path, InputChoice(samples=3, steps=100, rate=0.7), dt=1e-4)
        (layer,) = of(report, simulator).layers
        assert layer.spikes > 200
        assert (layer.first, layer.theirs, layer.why) == (None, layer.spikes, "")
        assert layer.error < 1e-6


def test_what_a_simulator_leaves_out_is_named_and_shows(tmp_path: Path) -> None:
    report = check_graph(chain(tmp_path / "r.nir", (3,), lif(3, tau=4e-3, r=3.0, v_reset=0.6)), CHOICE, dt=1e-3)
    norse = of(report, "norse").layers[0]
    assert norse.why == "v_reset is left out: neurons are reset to 0; r is left out"
    assert norse.first is not None
    assert norse.spikes > norse.theirs
    snntorch = of(report, "snntorch").layers[0]
    assert "v_reset is left out" in snntorch.why
    assert "the importer supposes a time step of 0.0001 s" in snntorch.why
    assert snntorch.first is not None


def test_a_missing_simulator_is_passed_over_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("snntorch", "norse.torch.module.lif_box"):
        monkeypatch.setitem(sys.modules, name, None)
    report = check_graph(FOREIGN / "lif_norse.nir", CHOICE, dt=1e-4)
    assert [one.missing.startswith("it is not installed (") for one in report.simulators] == [True, True]
    assert report.plain()["simulators"][0]["layers"] == ()


def test_platforms_take_what_their_tools_list() -> None:
    levels = {one.platform: one for one in support_of(read_graph(FOREIGN / "cnn_sinabs.nir"), None)}
    assert levels["SpiNNaker2"].level == "approximate"
    assert levels["SpiNNaker2"].reasons == "weights are whole numbers of 8 bits (0, 2, 5, 9, 11)"
    assert levels["Xylo"].level == "unsupported"
    assert "Rockpool takes no Conv2d (0, 2, 5)" in levels["Xylo"].reasons
    assert levels["Norse"].level == "exact"
    assert levels["snnTorch"].reasons == "snntorch 1.0.0 takes no SumPool2d (4, 7)"
    assert len(levels) == len(PLATFORMS)


def test_weights_that_a_chip_has_are_exact_on_it() -> None:
    graph = read_graph(FOREIGN / "cnn_sinabs.nir")
    coarse = quantized(graph, "int8", None)
    assert {one.platform: one.level for one in support_of(coarse, None)}["SpiNNaker2"] == "exact"
    weights = coarse.nodes["0"].values["weight"]
    step = np.abs(graph.nodes["0"].values["weight"]).max() / 127
    assert np.abs(weights - graph.nodes["0"].values["weight"]).max() <= step / 2 * (1 + 1e-5)
    assert np.unique(np.rint(weights / step)).size > 50


def test_decays_become_shifts(tmp_path: Path) -> None:
    graph = read_graph(chain(tmp_path / "g.nir", (2,), nir.Affine(np.eye(2), np.array([0.3, 0.001])), lif(2, tau=0.0115)))
    coarse = quantized(graph, "xylo", 1e-3)
    assert np.unique(coarse.nodes["n1"].values["tau"]).tolist() == [0.016]
    np.testing.assert_allclose(coarse.nodes["n0"].values["bias"] * 127, [38, 0])
    assert quantized(graph, "spinnaker2", 1e-3).nodes["n1"].values["tau"].tolist() == [0.0115, 0.0115]
    with pytest.raises(ValueError, match="quantize must be one of int8, spinnaker2, xylo, not 'int4'"):
        quantized(graph, "int4", None)
