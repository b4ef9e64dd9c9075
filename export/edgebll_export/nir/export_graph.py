"""`edgebll nir export` as a function: a trained network of spiking blocks becomes a NIR graph."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgebll.kernel.errors import ConfigError, DataError, ExportError, MissingExtraError
from edgebll.kernel.runs.listener import Listener, as_listener
from edgebll.kernel.runs.run_events import EventCallback
from edgebll.kernel.support.atomic_files import check_parents
from edgebll.kernel.support.bounds import WrongValue
from edgebll.kernel.version import __version__
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.networks.spiking.over_time import Repeated
from edgebll.learning.training.module_state import module_state
from edgebll.learning.training.trained_network import TrainedNetwork, open_trained
from edgebll_export.nir.build_graph import build_graph
from edgebll_export.nir.fidelity.compare import FidelityReport, report_of
from edgebll_export.nir.graph import Shape, SpikingGraph
from edgebll_export.nir.inputs import GraphInputs, InputChoice, graph_inputs
from edgebll_export.nir.network.graph_unit import GraphUnit
from edgebll_export.nir.network_tree import chain_tree, imported_tree
from edgebll_export.nir.quantization import quantized
from edgebll_export.nir.reading import read_graph
from edgebll_export.nir.simulation import simulate
from edgebll_export.nir.time_step import KEY
from edgebll_export.nir.writing import write_graph

#: What it is compared on.
_SAMPLES, _RATE = 16, 0.3


@dataclass(frozen=True)
class ExportedGraph:
    """A graph that was written.

    Attributes:
        path: the file.
        graph: what is in it.
        dt: the time step in seconds, noted in the graph's metadata too; None where nothing depends on it.
        notes: what NIR has no words for and was left out.
        samples: so many samples it was compared on.
        distance: largest distance of the network's scores and the graph's mean outputs on them; of whole networks.
        same_class: share of samples with the same class; of whole networks.
        drift: layer -> spikes before and after quantising; empty without.
        report: the fidelity report, if it was asked for.
    """

    path: Path
    graph: SpikingGraph
    dt: float | None
    notes: tuple[str, ...]
    samples: int
    distance: float | None
    same_class: float | None
    drift: dict[str, tuple[int, int]]
    report: FidelityReport | None

    def plain(self) -> dict[str, Any]:
        """What is reported, as JSON has it."""
        nodes = {name: node.kind for name, node in self.graph.nodes.items()}
        compared = {"samples": self.samples, "distance": self.distance, "same_class": self.same_class}
        told = {"graph": str(self.path), "nodes": nodes, "dt": self.dt, "left_out": list(self.notes), **compared}
        check = {} if self.report is None else {"check": self.report.plain()}
        return {**told, **({"drift": self.drift} if self.drift else {}), **check}


def export_graph(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    block: str | None = None,
    quantize: str | None = None,
    approximate: bool = False,
    spikes_only: bool = False,
    check: bool = False,
    choice: InputChoice | None = None,
    progress: EventCallback | Listener | None = None,
) -> ExportedGraph:
    """Write a trained network of spiking blocks as a NIR graph: weights, time constants, and batch norms folded.

    Args:
        run: a run folder of `train`, `simulate` or `run`, or a bundle.
        out: the file to write; an earlier one is replaced.
        block: write this block alone, e.g. "block0"; by default the whole network.
        quantize: precision of a chip, see `quantization.SCHEMES`; by default the network's own.
        approximate: leave out what NIR has no words for: reset by subtraction, refractory periods.
        spikes_only: leave out what follows the last layer of spiking neurons, for chips that read nothing else out.
        check: compare with snnTorch and Norse, and tell what platforms take.
        choice: what the graph is compared on; by default samples of the run's data set, or random spikes where it is not here.
        progress: takes events, see `edgebll.kernel.runs.run_events`.

    Raises:
        BundleError: there is neither a run nor a bundle, it is not whole, or damaged.
        ConfigError: an option is wrong, or the network's code is not here.
        ExportError: NIR has no word for something in it.
        StorageError: the file cannot be written.
        MissingExtraError: a package is not installed.
    """
    path = Path(out)
    check_parents(path)
    trained = open_trained(Path(run))
    network = _with_weights(trained)
    graph, notes, dt = graph_of(network, block, approximate, str(run), spikes_only)
    listener = as_listener(progress)
    for note in notes:
        listener.noted(f"left out: {note}")
    inputs = _inputs(trained, network, graph, choice, dt, listener)
    distance, same = (None, None) if block or spikes_only else _compared(network, graph, inputs, dt)
    drift: dict[str, tuple[int, int]] = {}
    if quantize is not None:
        graph, before = quantized(graph, quantize, dt), graph
        drift = _drift(before, graph, inputs, dt)
    write_graph(graph, path)
    written = read_graph(path)
    report = report_of(written, inputs, dt) if check else None
    return ExportedGraph(path, written, dt, tuple(notes), len(inputs.x), distance, same, drift, report)


def graph_of(
    network: BlockNetwork, block: str | None, approximate: bool, place: str, spikes_only: bool = False
) -> tuple[SpikingGraph, list[str], float | None]:
    """The graph of a network, what was left out, and its time step in seconds.

    Args:
        network: with the weights to write.
        block: the one to write; None for all.
        approximate: leave out what NIR has no words for.
        place: what the network is called in messages.
        spikes_only: leave out what follows the last layer of spiking neurons.

    Raises:
        ConfigError: there is no such block.
        ExportError: NIR has no word for something in it.
    """
    names = [f"block{index}" for index in range(len(network.blocks))]
    if block is not None and block not in names:
        raise WrongValue("block", f"must be one of {', '.join(names)}, not {block!r}")
    if not network.time_steps and not any(isinstance(module, GraphUnit) for module in network.modules()):
        raise ExportError(
            f"{place} has no spiking neurons; NIR is for spiking networks, others leave as ONNX by `edgebll merge`"
        )
    if any(isinstance(module, GraphUnit) for module in network.modules()):
        if spikes_only:
            raise WrongValue("spikes_only", "cannot be given for a network that came from NIR; its graph is written whole")
        return _of_import(network, block, place)
    first = names.index(block) if block else 0
    chosen = list(zip(names, network.blocks, strict=True))
    chosen = chosen[first : first + 1] if block else chosen
    tree, notes, dt = chain_tree(chosen, _step_shape(network, first), approximate, spikes_only)
    steps = {"time_steps": network.time_steps, "edgebll": __version__, "readout": "mean over time"}
    tree["metadata"] = {**steps, **({KEY: dt} if dt is not None else {})}
    return build_graph(tree, place), notes, dt


def _of_import(network: BlockNetwork, block: str | None, place: str) -> tuple[SpikingGraph, list[str], float | None]:
    """Of a network that came from NIR: the graph it came from with other weights."""
    if block is not None:
        raise WrongValue("block", "cannot be given for a network that came from NIR; its graph is written whole")
    options = network.description["options"]
    source = read_graph(options["graph"])
    dt = float(options.get("dt") or 0.0) or None
    tree = imported_tree(source.tree, list(network.blocks))
    if source.has_times and dt is not None:
        tree["metadata"] = {**source.metadata, KEY: dt}
    return build_graph(tree, place), [], dt


def _with_weights(trained: TrainedNetwork) -> BlockNetwork:
    if trained.network is None:
        why = f": {trained.without}" if trained.without else "; give a run or bundle of a network that has a name"
        raise ConfigError(f"the code of the network of {trained.path} is not known here{why}")
    network = copy.deepcopy(trained.network)
    network.cut_from = ()
    network.load_state_dict(module_state(trained, trained.network))
    return network.eval()


def _step_shape(network: BlockNetwork, index: int) -> Shape:
    """What a block takes in a time step: static samples of the first one have no axis of time."""
    shape = tuple(network.shapes[index])
    return shape[1:] if shape[:1] == (network.time_steps,) and not _is_static(network.blocks[index]) else shape


def _is_static(block: nn.Module) -> bool:
    return any(isinstance(module, Repeated) for module in block.modules())


def _inputs(
    trained: TrainedNetwork,
    network: BlockNetwork,
    graph: SpikingGraph,
    choice: InputChoice | None,
    dt: float | None,
    listener: Listener,
) -> GraphInputs:
    """What was chosen, else samples of the data it was trained on, else random spikes; static samples in all time steps."""
    steps = network.time_steps or None
    found = None
    if choice is None and trained.data is not None and graph.input_shape == _step_shape(network, 0):
        own = InputChoice(trained.data, _SAMPLES, steps, options=trained.data_options)
        try:
            found = graph_inputs(graph, own, dt)
        except (ConfigError, DataError, MissingExtraError) as error:
            listener.noted(f"random spikes in place of samples of {trained.data}: {error}")
    found = found or graph_inputs(graph, choice or InputChoice(samples=_SAMPLES, steps=steps, rate=_RATE), dt)
    if _is_static(network.blocks[0]):
        return replace(found, x=np.repeat(found.x[:, :1], steps or 1, axis=1))
    return found


def _compared(network: BlockNetwork, graph: SpikingGraph, inputs: GraphInputs, dt: float | None) -> tuple[float, float]:
    """The network's scores beside the graph's mean outputs."""
    x = torch.from_numpy(np.ascontiguousarray(inputs.x, np.float32))
    given = x[:, 0] if _is_static(network.blocks[0]) else x
    with torch.no_grad():
        scores = network(given).numpy()
    found = simulate(graph, inputs.x, dt, dtype="float32", record=[graph.output_name]).output.mean(axis=1)
    return float(np.abs(scores - found).max()), float(np.mean(scores.argmax(1) == found.argmax(1)))


def _drift(before: SpikingGraph, after: SpikingGraph, inputs: GraphInputs, dt: float | None) -> dict[str, tuple[int, int]]:
    a, b = (simulate(graph, inputs.x, dt).outputs for graph in (before, after))
    spiking = [node.name for node in before.neurons if node.primitive.spikes]
    return {name: (int(a[name].sum()), int(b[name].sum())) for name in spiking}
