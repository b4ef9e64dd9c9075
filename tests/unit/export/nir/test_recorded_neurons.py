"""The reference simulation against what four tools recorded of one LIF neuron, and against plain PyTorch loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.nir_graphs import FOREIGN, foreign, recorded

from edgebll_export.nir.simulation import simulate

DT = 1e-4
#: The membrane's scale: snnTorch and SpiNNaker2's tool add the spike itself, and raise the threshold instead: tau / dt times.
SCALES = {"norse": 1.0, "exact": 1.0, "snntorch": 25.0, "spinnaker2": 25.0}


@pytest.mark.parametrize("tool", SCALES)
def test_spikes_equal_those_that_a_tool_recorded(tool: str) -> None:
    rows = recorded(tool)
    found = simulate(foreign("lif_norse"), rows[None, :, :1], DT)
    np.testing.assert_array_equal(found.output[0, :, 0], rows[:, 2])
    assert rows[:, 2].sum() == 4


@pytest.mark.parametrize(("tool", "bound"), [("norse", 1e-6), ("snntorch", 2e-6)])
def test_membranes_equal_where_both_are_forward_euler(tool: str, bound: float) -> None:
    """Both computed in float32."""
    rows = recorded(tool)
    found = simulate(foreign("lif_norse"), rows[None, :, :1], DT)
    np.testing.assert_allclose(SCALES[tool] * found.membranes["1"][0, :, 0], rows[:, 1], rtol=0, atol=bound)


def test_spinnaker2_differs_by_its_whole_weights_alone() -> None:
    """Its tool scales by 102.02 and rounds the weight to 102: the factor explains all of the difference."""
    rows = recorded("spinnaker2")
    membrane = SCALES["spinnaker2"] * simulate(foreign("lif_norse"), rows[None, :, :1], DT).membranes["1"][0, :, 0]
    assert np.abs(membrane - rows[:, 1]).max() > 1e-4
    np.testing.assert_allclose(membrane * 102 / 102.02, rows[:, 1], rtol=0, atol=1e-6)


def test_the_exact_solution_is_another_one_until_the_first_spike_too() -> None:
    """After it, the recorded one resets by subtraction, which NIR's LIF does not."""
    rows = recorded("exact")
    before = int(np.flatnonzero(rows[:, 2])[0])
    exact, euler = (
        simulate(foreign("lif_norse"), rows[None, :, :1], DT, integrator=name).membranes["1"][0, :before, 0]
        for name in ("exact", "euler")
    )
    np.testing.assert_allclose(exact, rows[:before, 1], rtol=0, atol=1e-6)
    assert np.abs(euler - rows[:before, 1]).max() > 1e-4


def _weights(name: str, node: str) -> dict[str, torch.Tensor]:
    """Parameters as NIR's own package reads them."""
    import nir

    found = vars(nir.read(FOREIGN / f"{name}.nir").nodes[node])
    return {key: torch.tensor(value, dtype=torch.float64) for key, value in found.items() if isinstance(value, np.ndarray)}


def test_the_recurrent_network_equals_a_plain_loop() -> None:
    p = {node: _weights("braille_noDelay_bias_zero", node) for node in ("fc1", "lif1.lif", "lif1.w_rec", "fc2", "lif2")}
    spikes = torch.rand(3, 60, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64).lt(0.3).double()

    def cuba(node: str, x: torch.Tensor, i: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, ...]:
        n = p[node]
        i = i + DT / n["tau_syn"] * (n["w_in"] * x - i)
        v = v + DT / n["tau_mem"] * (n["v_leak"] - v + n["r"] * i)
        z = (v > n["v_threshold"]).double()
        return z, i, torch.where(z > 0, n["v_reset"], v)

    z1, i1, v1 = torch.zeros(3, 3, 38, dtype=torch.float64)
    i2, v2 = torch.zeros(2, 3, 7, dtype=torch.float64)
    hidden, last = [], []
    for x in spikes.unbind(1):
        back = F.linear(z1, p["lif1.w_rec"]["weight"], p["lif1.w_rec"]["bias"])
        z1, i1, v1 = cuba("lif1.lif", F.linear(x, p["fc1"]["weight"], p["fc1"]["bias"]) + back, i1, v1)
        z2, i2, v2 = cuba("lif2", F.linear(z1, p["fc2"]["weight"], p["fc2"]["bias"]), i2, v2)
        hidden.append(z1)
        last.append(z2)
    graph = foreign("braille_noDelay_bias_zero")
    found = simulate(graph, spikes.numpy(), DT)
    assert graph.delayed == {("lif1.lif", "lif1.w_rec")}
    np.testing.assert_array_equal(found.outputs["lif1.lif"], torch.stack(hidden, 1).numpy())
    np.testing.assert_array_equal(found.output, torch.stack(last, 1).numpy())
    assert found.outputs["lif1.lif"].sum() > 10
    assert found.output.sum() > 50


def test_the_convolutional_network_equals_a_plain_loop() -> None:
    layers = {str(node): _weights("cnn_sinabs", str(node)) for node in (0, 2, 5, 9, 11)}
    spikes = torch.rand(1, 20, 2, 34, 34, generator=torch.Generator().manual_seed(2), dtype=torch.float64).lt(0.2).double()
    potentials: dict[str, torch.Tensor] = {}

    def fire(name: str, x: torch.Tensor) -> torch.Tensor:
        v = potentials.get(name, torch.zeros_like(x)) + x
        z = (v > 1).double()
        potentials[name] = v * (1 - z)
        return z

    outputs, third = [], []
    for x in spikes.unbind(1):
        for name, stride in (("0", 2), ("2", 1), ("5", 1)):
            x = fire(name, F.conv2d(x, layers[name]["weight"], layers[name]["bias"], stride=stride, padding=1))
            third += [x] if name == "5" else []
            x = x if name == "0" else 4 * F.avg_pool2d(x, 2)
        x = fire("9", F.linear(x.flatten(1), layers["9"]["weight"], layers["9"]["bias"]))
        outputs.append(fire("11", F.linear(x, layers["11"]["weight"], layers["11"]["bias"])))
    found = simulate(foreign("cnn_sinabs"), spikes.numpy())
    np.testing.assert_array_equal(found.output, torch.stack(outputs, 1).numpy())
    np.testing.assert_array_equal(found.outputs["6"], torch.stack(third, 1).numpy())
    assert found.output.any()
    assert found.outputs["6"].sum() > 1000
