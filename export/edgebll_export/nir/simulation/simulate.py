"""A NIR graph, run spike by spike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgebll.kernel.errors import DataError
from edgebll.kernel.support.bounds import Bounds, WrongValue
from edgebll_export.nir.graph import GraphNode, SpikingGraph
from edgebll_export.nir.node_values import check_times
from edgebll_export.nir.simulation.neurons import INTEGRATORS, Neuron, NeuronStep, make_neuron
from edgebll_export.nir.simulation.transforms import Transform, make_transform

#: A time step; what is above a second is a wrong unit.
TIME_STEP = Bounds("seconds", 0.0, 1.0, above=True)


@dataclass(frozen=True)
class Recording:
    """What the nodes of a graph gave, time step by time step.

    Attributes:
        outputs: node -> values (B, T, ...): spikes of neurons, and of the graph's input and output what goes through them.
        membranes: neuron -> v after the reset (B, T, ...).
        output: the graph's result (B, T, ...).
    """

    outputs: dict[str, np.ndarray]
    membranes: dict[str, np.ndarray]
    output: np.ndarray


def simulate(
    graph: SpikingGraph,
    inputs: np.ndarray,
    dt: float | None = None,
    *,
    integrator: str = "euler",
    dtype: str = "float64",
    record: Sequence[str] | None = None,
    neurons: Callable[[GraphNode], Neuron | None] | None = None,
) -> Recording:
    """Run a graph from rest.

    Args:
        graph: of `read_graph`.
        inputs: what goes into it (B, T, *graph.input_shape), any number type.
        dt: the time step in seconds; needed where the graph has time constants or delays.
        integrator: "euler" (forward Euler) or "exact" (the solution for constant input), see `neurons`.
        dtype: "float64" or "float32" to compute in.
        record: nodes whose values are kept; by default the neurons, the input and the output.
        neurons: makes neurons of others in the place of the reference's, of a node, or None for that one; none by default.

    Returns:
        Values of the recorded nodes.

    Raises:
        WrongValue: dt is missing or no time step, or there is no such integrator.
        ExportError: a time constant is below dt.
        DataError: the inputs have another shape, or are not finite.

    Examples:
        >>> import nir, numpy as np
        >>> from edgebll_export.nir.reading import read_graph
        >>> from edgebll_export.nir.simulation import simulate
        >>> ones = np.ones(1)
        >>> nir.write("if.nir", nir.NIRGraph.from_list(nir.IF(r=ones, v_threshold=2 * ones)))
        >>> graph = read_graph("if.nir")
        >>> simulate(graph, np.ones((1, 6, 1))).output[0, :, 0].tolist()
        [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    """
    _check(graph, inputs, dt, integrator)
    kind = np.dtype(dtype)
    batch, steps = inputs.shape[:2]
    names = [graph.input_name, *(node.name for node in graph.neurons), graph.output_name] if record is None else list(record)
    kept: dict[str, list[np.ndarray]] = {name: [] for name in names}
    membranes: dict[str, list[np.ndarray]] = {name: [] for name in names if graph.nodes[name].primitive.is_neuron}

    def own(node: GraphNode) -> Neuron:
        return make_neuron(node, graph.output_shapes[node.name], dt or 1.0, integrator, batch, kind)

    advance = _stepper(graph, batch, (lambda node: neurons(node) or own(node)) if neurons else own, kind)
    for step in range(steps):
        values, potentials = advance(inputs[:, step].astype(kind))
        for name, rows in kept.items():
            rows.append(values[name])
        for name, rows in membranes.items():
            rows.append(potentials[name])
    outputs = {name: np.stack(rows, axis=1) for name, rows in kept.items()}
    return Recording(outputs, {name: np.stack(rows, axis=1) for name, rows in membranes.items()}, outputs[graph.output_name])


Values = dict[str, np.ndarray]


def _stepper(
    graph: SpikingGraph, batch: int, make: Callable[[GraphNode], Neuron], dtype: np.dtype
) -> Callable[[np.ndarray], tuple[Values, Values]]:
    """A function that computes one time step of the whole graph: of its inputs, all values and membranes."""
    neurons: dict[str, Neuron] = {}
    transforms: dict[str, Transform] = {}
    for name, node in graph.nodes.items():
        if node.primitive.keeps:
            neurons[name] = make(node)
        else:
            transforms[name] = make_transform(node, graph.output_shapes[name], dtype)
    before = {edge[0]: np.zeros((batch, *graph.output_shapes[edge[0]]), dtype) for edge in graph.delayed}
    sources = {name: graph.sources(name) for name in graph.nodes}

    def advance(x: np.ndarray) -> tuple[Values, Values]:
        values: Values = {}
        potentials: Values = {}
        for name in graph.nodes:
            arriving = [before[edge[0]] if edge in graph.delayed else values[edge[0]] for edge in sources[name]]
            total = sum(arriving[1:], arriving[0]) if arriving else x
            if name in neurons:
                found: NeuronStep = neurons[name](total)
                values[name] = found.out
                if found.v is not None:
                    potentials[name] = found.v
            else:
                values[name] = transforms[name](total)
        before.update({name: values[name] for name in before})
        return values, potentials

    return advance


def _check(graph: SpikingGraph, inputs: np.ndarray, dt: float | None, integrator: str) -> None:
    if integrator not in INTEGRATORS:
        raise WrongValue("integrator", f"must be one of {', '.join(INTEGRATORS)}, not {integrator!r}")
    if dt is None and graph.has_times:
        raise WrongValue("dt", f"is needed: {graph.place} has time constants, and a NIR graph does not say its time step")
    if dt is not None:
        TIME_STEP.check("dt", dt)
        check_times(graph, dt)
    if inputs.ndim != len(graph.input_shape) + 2 or inputs.shape[2:] != graph.input_shape or 0 in inputs.shape:
        wanted = ", ".join(("samples", "time steps", *map(str, graph.input_shape)))
        raise DataError(f"{graph.place} takes inputs of shape ({wanted}), not {inputs.shape}")
    if inputs.dtype.kind not in "fiub" or not np.all(np.isfinite(inputs)):
        raise DataError(
            f"the inputs of {graph.place} must be finite numbers; they are {inputs.dtype} with NaN, infinity or text"
        )
