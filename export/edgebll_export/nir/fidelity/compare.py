"""The fidelity report: a graph on the same spikes by the reference, by snnTorch and by Norse, and what platforms make of it."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgebll_export.nir.fidelity.simulators import SimulatorMissingError, simulators
from edgebll_export.nir.fidelity.support import PlatformSupport, support_of
from edgebll_export.nir.graph import GraphNode, SpikingGraph
from edgebll_export.nir.inputs import GraphInputs, InputChoice, graph_inputs
from edgebll_export.nir.reading import read_graph
from edgebll_export.nir.run_graph import GraphRun, accuracy_of, run_of
from edgebll_export.nir.simulation import Recording, simulate
from edgebll_export.nir.time_step import time_step_of

#: Membranes that are nearer to each other than this part of the threshold differ by the rounding of float32.
_ROUNDING = 1e-4


@dataclass(frozen=True)
class LayerComparison:
    """What a simulator made of a layer of neurons.

    Attributes:
        node: its name.
        spikes: in the reference.
        theirs: in the simulator.
        rate: of the reference, spikes a neuron and time step.
        their_rate: of the simulator.
        first: the first time step, from 0, in which a spike is there in one alone; None where there is none.
        error: largest distance of membranes until the first such step of the whole graph, in parts of the threshold.
        why: what the simulator leaves out or does in another way; empty where nothing is known.
    """

    node: str
    spikes: int
    theirs: int
    rate: float
    their_rate: float
    first: int | None
    error: float
    why: str


@dataclass(frozen=True)
class SimulatorComparison:
    """What a simulator made of a graph.

    Attributes:
        name: of the simulator.
        version: of its package; empty where it is missing.
        missing: why it was passed over; empty where it was not.
        layers: of spiking neurons, in the order of a time step.
        accuracy: share of samples with the right class; None without labels.
    """

    name: str
    version: str
    missing: str
    layers: tuple[LayerComparison, ...] = ()
    accuracy: float | None = None


@dataclass(frozen=True)
class FidelityReport:
    """How far a graph means the same elsewhere.

    Attributes:
        run: the reference's.
        simulators: what others made of the same spikes.
        platforms: what platforms can take.
    """

    run: GraphRun
    simulators: tuple[SimulatorComparison, ...]
    platforms: tuple[PlatformSupport, ...]

    def plain(self) -> dict[str, Any]:
        """The report as JSON has it."""
        others = {"simulators": [asdict(one) for one in self.simulators]}
        return {**self.run.plain(), **others, "platforms": [asdict(one) for one in self.platforms]}


def check_graph(path: str | os.PathLike[str], choice: InputChoice, *, dt: float | None = None) -> FidelityReport:
    """Compare what a NIR graph does here with what it does elsewhere.

    Args:
        path: of the graph.
        choice: what goes into it.
        dt: the time step in seconds; by default what the graph's metadata say.

    Raises:
        ConfigError: there is no such file, or an option is wrong or missing.
        ExportError: the graph cannot be computed.
        DataError: the inputs do not fit.
    """
    graph = read_graph(path)
    step = time_step_of(graph, dt)
    return report_of(graph, graph_inputs(graph, choice, step), step)


def report_of(graph: SpikingGraph, inputs: GraphInputs, dt: float | None) -> FidelityReport:
    """The report of a graph that was read already.

    Args:
        graph: it.
        inputs: what goes into it.
        dt: the time step in seconds; None where nothing depends on it.
    """
    run = run_of(graph, inputs, dt)
    others = tuple(_compared(name, run) for name in simulators())
    return FidelityReport(run, others, tuple(support_of(graph, dt)))


def _compared(name: str, run: GraphRun) -> SimulatorComparison:
    load, limits = simulators()[name]
    try:
        make = load()
    except SimulatorMissingError as reason:
        return SimulatorComparison(name, "", str(reason))
    graph, dt = run.graph, run.dt or 1.0
    own: set[str] = set()

    def neuron(node: GraphNode) -> Any:
        found = make(node, dt)
        own.update([] if found else [node.name])
        return found

    theirs = simulate(graph, run.inputs.x, run.dt, dtype="float32", neurons=neuron)
    layers = _layers(run, theirs, lambda node: _why(node, own, limits(node, dt)))
    version = importlib.metadata.version(name)
    return SimulatorComparison(name, version, "", layers, accuracy_of(theirs.output, run.inputs))


def _why(node: GraphNode, own: set[str], limits: list[str]) -> str:
    if node.name in own:
        return "; ".join(["has no such neuron: the reference's in float32", *limits])
    return "; ".join(limits)


def _layers(run: GraphRun, theirs: Recording, why: Callable[[GraphNode], str]) -> tuple[LayerComparison, ...]:
    ours = run.recording
    spiking = [node for node in run.graph.neurons if node.primitive.spikes]
    firsts = {node.name: _first(ours.outputs[node.name], theirs.outputs[node.name]) for node in spiking}
    steps = run.inputs.x.shape[1]
    alike = min((first for first in firsts.values() if first is not None), default=steps)
    rows = []
    for node in spiking:
        a, b = ours.outputs[node.name], theirs.outputs[node.name]
        apart = np.abs(ours.membranes[node.name] - theirs.membranes[node.name])[:, :alike] / np.abs(node.values["v_threshold"])
        error = float(apart.max(initial=0.0))
        told = why(node)
        if not told and firsts[node.name] is not None:
            told = "rounding of float32" if error < _ROUNDING else "not known"
        rows.append(
            LayerComparison(
                node.name, int(a.sum()), int(b.sum()), float(a.mean()), float(b.mean()), firsts[node.name], error, told
            )
        )
    return tuple(rows)


def _first(a: np.ndarray, b: np.ndarray) -> int | None:
    """The first time step (axis 1) in which two recordings differ."""
    steps = np.flatnonzero((a != b).any(axis=(0, *range(2, a.ndim))))
    return int(steps[0]) if steps.size else None
