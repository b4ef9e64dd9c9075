"""A NIR graph as a network that learns here: its units, a readout of rates, and what a name on the command line makes of it."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from edgebll.kernel.errors import ConfigError, ExportError
from edgebll.kernel.support.atomic_files import sha256_file, storage_errors
from edgebll.learning.networks.block_network import Unit
from edgebll.learning.networks.spiking.over_time import Repeated
from edgebll.learning.networks.spiking.readout import MeanOverTime
from edgebll.learning.networks.unit_network import UnitNetwork
from edgebll_export.nir.graph import SpikingGraph
from edgebll_export.nir.network.cutting import cycle_of, unit_plans
from edgebll_export.nir.network.graph_unit import GraphUnit, UnitPlan
from edgebll_export.nir.network.node_modules import make_module
from edgebll_export.nir.reading import read_graph
from edgebll_export.nir.time_step import time_step_of

#: By which runs and bundles find it again.
NAME = "edgebll_export.nir.network:network"


def network(
    num_classes: int,
    input_shape: tuple[int, ...],
    graph: str,
    dt: float = 0.0,
    steps: int = 100,
    surrogate: str = "fast_sigmoid",
    slope: float = 0.0,
    sha256: str = "",
) -> UnitNetwork:
    """The network of a NIR graph, with its weights.

    Args:
        num_classes: of the task; the graph must give so many numbers.
        input_shape: of a sample: (T, ...) with what the graph takes in each of T time steps, or static as the graph takes it.
        graph: the file.
        dt: the time step in seconds; 0 for what the graph's metadata note.
        steps: time steps of static samples.
        surrogate: of spikes, see `edgebll.learning.networks.spiking.surrogates`.
        slope: of the surrogate; 0 for its usual one.
        sha256: that the file must have; empty for any.

    Raises:
        ConfigError: there is no such file, it has changed, or samples or classes do not fit.
        DataError: it is no NIR file. ExportError: the graph cannot be computed.
    """
    place = Path(graph)
    if sha256 and place.is_file():
        with storage_errors(place):
            now = sha256_file(place)
        if now != sha256:
            raise ConfigError(
                f"{place} has changed since: its SHA-256 was {sha256[:12]}..., now it is {now[:12]}...; put it back"
            )
    found = read_graph(place)
    return units_of(found, num_classes, tuple(input_shape), time_step_of(found, dt or None), steps, surrogate, slope)


def units_of(
    graph: SpikingGraph,
    num_classes: int,
    input_shape: tuple[int, ...],
    dt: float | None,
    steps: int = 100,
    surrogate: str = "fast_sigmoid",
    slope: float = 0.0,
) -> UnitNetwork:
    """The network of a graph that was read already; arguments and errors are those of `network`.

    Args:
        graph: it.
        num_classes: of the task.
        input_shape: of a sample.
        dt: the time step in seconds; None where nothing depends on it.
        steps: time steps of static samples.
        surrogate: of spikes.
        slope: of the surrogate.
    """
    static = input_shape == graph.input_shape
    if not static and input_shape[1:] != graph.input_shape:
        raise ConfigError(
            f"{graph.place} takes {graph.input_shape} in each time step, but samples have the shape {input_shape}; "
            f"give samples of shape (T, {', '.join(map(str, graph.input_shape))})"
        )
    if graph.output_shape != (num_classes,):
        raise ConfigError(f"{graph.place} gives {graph.output_shape} numbers a time step, but the task asks for {num_classes}")
    if not graph.neurons:
        raise ExportError(f"{graph.place} has no neurons; a network without time is trained as any other module")
    plans = unit_plans(graph)
    units = [Unit(_unit(plan, dt, surrogate, slope), _layers(plan)) for plan in plans]
    if static:
        units[0] = Unit(nn.Sequential(Repeated(steps), units[0].module), units[0].layers)
    time_steps = steps if static else input_shape[0]
    name = f"{graph.place}" + (f" (a cycle leads back {cycle_of(graph)})" if graph.delayed else "")
    return UnitNetwork(units, Unit(MeanOverTime(), 0), num_classes, input_shape, name, time_steps=time_steps)


def _unit(plan: UnitPlan, dt: float | None, surrogate: str, slope: float) -> GraphUnit:
    return GraphUnit(plan, [make_module(node, dt or 1.0, surrogate, slope) for node in plan.nodes])


def _layers(plan: UnitPlan) -> int:
    """Layers with weights, one at least."""
    return max(1, sum("weight" in node.values for node in plan.nodes))
