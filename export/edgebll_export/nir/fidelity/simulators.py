"""The neurons of snnTorch and of Norse, put into the reference's loop: what differs then differs in the neurons alone.

Their own importers run few graphs as a whole (snnTorch 1.0.0 fails at the recurrent graph that it wrote itself for NIR's
paper, and at convolutions that Sinabs wrote), so each neuron layer is made here as their importers make it, with the graph's
own time step, and everything between is computed by the reference in float32.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from edgebll.kernel.support.optional_imports import import_torch
from edgebll_export.nir.fidelity.value_limits import norse_limits, snntorch_limits
from edgebll_export.nir.graph import GraphNode
from edgebll_export.nir.simulation.neurons import Neuron, NeuronStep

#: Of a node and the time step in seconds: the neuron, or None where the simulator has none for it.
MakeNeuron = Callable[[GraphNode, float], Neuron | None]


class SimulatorMissingError(Exception):
    """A simulator is not installed, or cannot be imported; the message says why."""


def simulators() -> dict[str, tuple[Callable[[], MakeNeuron], Callable[[GraphNode, float], list[str]]]]:
    """Name -> how its neurons are made once it is imported, and what it leaves out of a node."""
    return {"snntorch": (_snntorch, snntorch_limits), "norse": (_norse, norse_limits)}


def _imported(name: str) -> Any:
    try:
        # What their modules warn of at their first import is for their authors.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except Exception as error:  # what their own imports may raise is theirs
        reason = f"it is not installed ({error})" if isinstance(error, ImportError) else f"it cannot be imported ({error})"
        raise SimulatorMissingError(reason) from error


def _snntorch() -> MakeNeuron:
    snntorch, torch = _imported("snntorch"), import_torch("export", "comparing with snnTorch")

    def make(node: GraphNode, dt: float) -> Neuron | None:
        if any(text.endswith("refused") for text in snntorch_limits(node, dt)):
            return None
        values = {key: torch.as_tensor(np.asarray(value), dtype=torch.float32) for key, value in _numbers(node).items()}
        common = {"init_hidden": False, "reset_delay": False}
        gain = torch.ones(())
        if node.kind == "IF":
            cell = snntorch.Leaky(beta=0.9, threshold=values["v_threshold"], **common)
        elif node.kind == "LIF":
            share = dt / values["tau"]
            gain = values["r"] * share
            cell = snntorch.Leaky(beta=1 - share, threshold=values["v_threshold"] / gain, reset_mechanism="zero", **common)
        elif node.kind == "CubaLIF":
            gain = values["w_in"] * dt / values["tau_syn"]
            decays = {"alpha": 1 - dt / values["tau_syn"], "beta": 1 - dt / values["tau_mem"]}
            cell = snntorch.Synaptic(**decays, threshold=values["v_threshold"] / gain, reset_mechanism="zero", **common)
        else:
            return None
        return _snntorch_loop(cell, torch, 2 if node.kind == "CubaLIF" else 1, gain)

    return make


def _snntorch_loop(cell: Any, torch: Any, states: int, gain: Any) -> Neuron:
    """Its membrane is in units of its input: times the gain it is NIR's."""
    kept: list[Any] = []

    def step(x: np.ndarray) -> NeuronStep:
        current = torch.as_tensor(x, dtype=torch.float32)
        state = kept or [torch.zeros_like(current) for _ in range(states)]
        with torch.no_grad():
            spikes, *new = cell(current, *state)
        kept[:] = new
        return NeuronStep(spikes.numpy(), (gain * new[-1]).numpy())

    return step


def _norse() -> MakeNeuron:
    cells, torch = _imported("norse.torch.module.lif_box"), import_torch("export", "comparing with Norse")
    integrators, iaf = _imported("norse.torch.module.leaky_integrator_box"), _imported("norse.torch.module.iaf")
    box, li_box, iaf_values = (
        _imported(f"norse.torch.functional.{name}") for name in ("lif_box", "leaky_integrator_box", "iaf")
    )

    def make(node: GraphNode, dt: float) -> Neuron | None:
        values = {key: torch.as_tensor(np.asarray(value), dtype=torch.float32) for key, value in _numbers(node).items()}
        if node.kind == "IF":
            return _norse_loop([(iaf.IAFCell(iaf_values.IAFParameters(v_th=values["v_threshold"]), dt=dt), None)], torch)
        if node.kind not in ("LIF", "CubaLIF"):
            return None
        tau = values["tau_mem" if node.kind == "CubaLIF" else "tau"]
        parameters = box.LIFBoxParameters(tau_mem_inv=1 / tau, v_th=values["v_threshold"], v_leak=values["v_leak"])
        membrane = cells.LIFBoxCell(parameters, dt=dt)
        if node.kind == "LIF":
            return _norse_loop([(membrane, None)], torch)
        synapse = integrators.LIBoxCell(
            li_box.LIBoxParameters(tau_mem_inv=1 / values["tau_syn"], v_leak=values["v_leak"]), dt=dt
        )
        return _norse_loop([(synapse, values["w_in"]), (membrane, values["r"])], torch)

    return make


def _norse_loop(cells: list[tuple[Any, Any]], torch: Any) -> Neuron:
    states: list[Any] = [None for _ in cells]

    def step(x: np.ndarray) -> NeuronStep:
        value = torch.as_tensor(x, dtype=torch.float32)
        with torch.no_grad():
            for index, (cell, gain) in enumerate(cells):
                value, states[index] = cell(value if gain is None else gain * value, states[index])
        return NeuronStep(value.numpy(), states[-1].v.numpy())

    return step


def _numbers(node: GraphNode) -> dict[str, Any]:
    return {key: value for key, value in node.values.items() if np.asarray(value).dtype.kind == "f"}
