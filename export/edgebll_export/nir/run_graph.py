"""`edgebll nir run` as a function: a graph is read and run, and every neuron's spikes are counted."""

from __future__ import annotations

import io
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebll.kernel.support.atomic_files import check_parents, storage_errors, write_atomic
from edgebll_export.nir.graph import SpikingGraph
from edgebll_export.nir.inputs import GraphInputs, InputChoice, graph_inputs
from edgebll_export.nir.reading import read_graph
from edgebll_export.nir.shapes import shape_text
from edgebll_export.nir.simulation import Recording, simulate
from edgebll_export.nir.time_step import time_step_of


@dataclass(frozen=True)
class NodeActivity:
    """What a neuron layer did.

    Attributes:
        node: its name.
        kind: NIR's primitive.
        shape: of its neurons.
        spikes: of all samples together; None of those without spikes.
        rate: spikes a neuron and time step; None of those without spikes.
        first: the time step of the first spike, from 0; None where there is none.
        highest: the largest v after a reset.
    """

    node: str
    kind: str
    shape: str
    spikes: int | None
    rate: float | None
    first: int | None
    highest: float


@dataclass(frozen=True)
class GraphRun:
    """A graph that was run.

    Attributes:
        graph: it.
        inputs: what went into it.
        recording: every value that was recorded.
        dt: the time step in seconds; None where nothing depends on it.
        integrator: how neurons were integrated.
        layers: what each neuron layer did.
        accuracy: share of samples whose label the output's largest sum over time names; None without labels.
    """

    graph: SpikingGraph
    inputs: GraphInputs
    recording: Recording
    dt: float | None
    integrator: str
    layers: tuple[NodeActivity, ...]
    accuracy: float | None

    def plain(self) -> dict[str, Any]:
        """What is reported, as JSON has it."""
        samples, steps = self.inputs.x.shape[:2]
        back = [list(edge) for edge in sorted(self.graph.delayed)]
        counts = {"samples": samples, "steps": steps, "dt": self.dt, "integrator": self.integrator}
        layers = [asdict(layer) for layer in self.layers]
        return {
            "graph": self.graph.place,
            "data": self.inputs.source,
            **counts,
            "delayed": back,
            "layers": layers,
            "accuracy": self.accuracy,
        }


def run_graph(
    path: str | os.PathLike[str],
    choice: InputChoice,
    *,
    dt: float | None = None,
    integrator: str = "euler",
    out: Path | None = None,
) -> GraphRun:
    """Read a NIR graph and run it spike by spike.

    Args:
        path: of the graph.
        choice: what goes into it.
        dt: the time step in seconds; by default what the graph's metadata say.
        integrator: "euler" or "exact".
        out: a .npz file for every recorded value: NODE.out and NODE.v, both (B, T, ...); None for none.

    Raises:
        ConfigError: there is no such file, or an option is wrong or missing.
        ExportError: the graph cannot be computed.
        DataError: the inputs do not fit.
        StorageError: the file cannot be written.
    """
    if out is not None:
        check_parents(out)
    graph = read_graph(path)
    step = time_step_of(graph, dt)
    run = run_of(graph, graph_inputs(graph, choice, step), step, integrator)
    if out is not None:
        _write(run.recording, out)
    return run


def run_of(graph: SpikingGraph, inputs: GraphInputs, dt: float | None, integrator: str = "euler") -> GraphRun:
    """Run a graph that was read already.

    Args:
        graph: it.
        inputs: what goes into it.
        dt: the time step in seconds; None where nothing depends on it.
        integrator: "euler" or "exact".
    """
    recording = simulate(graph, inputs.x, dt, integrator=integrator)
    layers = _activities(graph, recording)
    return GraphRun(graph, inputs, recording, dt, integrator, layers, accuracy_of(recording.output, inputs))


def accuracy_of(output: np.ndarray, inputs: GraphInputs) -> float | None:
    """Share of samples whose class the largest sum over time is of; None where there are no labels or no classes.

    Args:
        output: of the graph (B, T, classes).
        inputs: with labels.
    """
    if inputs.labels is None or output.ndim != 3:
        return None
    return float(np.mean(output.sum(axis=1).argmax(axis=1) == inputs.labels))


def _activities(graph: SpikingGraph, recording: Recording) -> tuple[NodeActivity, ...]:
    rows = []
    for node in graph.neurons:
        out = recording.outputs[node.name]
        spikes = node.primitive.spikes
        times = np.flatnonzero(out.any(axis=(0, *range(2, out.ndim)))) if spikes else np.empty(0, int)
        rows.append(
            NodeActivity(
                node.name,
                node.kind,
                shape_text(graph.output_shapes[node.name]),
                int(out.sum()) if spikes else None,
                float(out.mean()) if spikes else None,
                int(times[0]) if times.size else None,
                float(recording.membranes[node.name].max()),
            )
        )
    return tuple(rows)


def _write(recording: Recording, out: Path) -> None:
    arrays = {f"{name}.out": value for name, value in recording.outputs.items()}
    arrays |= {f"{name}.v": value for name, value in recording.membranes.items()}
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # numpy's stub takes allow_pickle for one of them
    with storage_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(out, stream.getvalue())
