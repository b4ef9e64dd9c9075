"""`edgebll nir import` as a function: a NIR graph becomes a bundle whose blocks learn."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgebll.data.dataset import Dataset
from edgebll.data.registry import load_dataset, named_options
from edgebll.kernel.bundle import Bundle, check_bundle_place, open_bundle
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.runs.listener import Listener, as_listener
from edgebll.kernel.runs.run_events import EventCallback
from edgebll.kernel.support.atomic_files import sha256_file
from edgebll.kernel.support.bounds import COUNT, WrongValue
from edgebll.kernel.tasks import make_task
from edgebll.learning import make_optimizer, make_rule
from edgebll.learning.idle_options import idle_options
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll_export.bundles.export_bundle import export_bundle
from edgebll_export.nir.graph import SpikingGraph
from edgebll_export.nir.network.from_graph import NAME
from edgebll_export.nir.reading import read_graph
from edgebll_export.nir.time_step import time_step_of
from edgebll_export.targets import make_target

#: Samples that golden vectors are drawn from, and the rate of random ones.
_EXAMPLES, _RATE = 256, 0.3


def import_graph(
    net: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    blocks: int | None = None,
    split: str = "even",
    dt: float | None = None,
    steps: int = 100,
    data: str | None = None,
    data_option: Mapping[str, Any] | None = None,
    rule: str = "bll",
    rule_option: Mapping[str, Any] | None = None,
    optimizer: str = "sgd",
    optimizer_option: Mapping[str, Any] | None = None,
    lr: float | None = None,
    batch_size: int = 64,
    precision: str = "float32",
    target: str = "onnx",
    opset: int | None = None,
    surrogate: str = "fast_sigmoid",
    slope: float = 0.0,
    data_dir: Path | None = None,
    progress: EventCallback | Listener | None = None,
) -> Bundle:
    """Turn a NIR graph into a bundle: it starts with the graph's weights, and its blocks learn.

    Args:
        net: the graph.
        out: the bundle folder to write; an earlier bundle there is replaced.
        blocks: cut it into so many blocks; by default four, or as many as it can be cut into.
        split: where it is cut, see `UnitNetwork.sizes`.
        dt: the time step in seconds; by default what the graph's metadata note.
        steps: time steps T of a sample, where no data say it.
        data: data set that it will be trained on: says T, and golden vectors are drawn from it; none by default.
        data_option: of own data.
        rule: how its blocks learn.
        rule_option: of the rule.
        optimizer: of every block.
        optimizer_option: of the optimizer.
        lr: peak learning rate; by default the optimizer's.
        batch_size: samples of a training step.
        precision: numbers to compute in.
        target: what runs the graphs.
        opset: of the target "onnx".
        surrogate: of spikes, for gradients.
        slope: of the surrogate; 0 for its usual one.
        data_dir: folder with the data set's files.
        progress: takes events, see `edgebll.kernel.runs.run_events`.

    Raises:
        ConfigError: an option is wrong, or the graph cannot be cut like this.
        ExportError: the graph cannot be computed, or a block cannot be exported.
        DataError: the data set is not here.
        StorageError: the folder cannot be written.
    """
    COUNT.check("batch_size", batch_size)
    COUNT.check("steps", steps)
    place, folder, listener = Path(net).absolute(), Path(out), as_listener(progress)
    chosen = make_target(target, opset, None)
    chosen.suited(precision)
    check_bundle_place(folder)
    options = {} if lr is None else {"lr": lr}
    descent = make_optimizer(optimizer, **{**options, **(optimizer_option or {})})
    learning = make_rule(rule, **(rule_option or {}))
    graph = read_graph(net)
    step = time_step_of(graph, dt)
    if len(graph.output_shape) != 1:
        raise ConfigError(f"{net} gives numbers of shape {graph.output_shape}; a network that learns classes gives one a class")
    given = dict(named_options(data, data_option or {})) if data is not None else {}
    dataset = None if data is None else load_dataset(data, "train", data_dir, _EXAMPLES, given)
    known = {"graph": str(place), "dt": step or 0.0, "steps": steps, "surrogate": surrogate, "slope": slope}
    network = _network(graph, dataset, blocks, split, steps, {**known, "sha256": sha256_file(place)})
    if idle := idle_options(learning, len(network.blocks)):
        listener.noted(idle)
    listener.noted(f"exporting {net}; this takes some seconds a block")
    export_bundle(
        network,
        rule=learning,
        optimizer=descent,
        batch_size=batch_size,
        path=folder,
        target=chosen,
        precision=precision,
        examples=_examples(graph, dataset, steps, batch_size),
        provenance={} if data is None else {"data": data, **({"data_options": given} if given else {})},
    )
    return open_bundle(folder, verify=False)


def _network(
    graph: SpikingGraph, dataset: Dataset | None, blocks: int | None, split: str, steps: int, options: Mapping[str, Any]
) -> BlockNetwork:
    classes = graph.output_shape[0]
    if dataset is not None and dataset.outputs != (classes,):
        raise WrongValue("data", f"must ask for {classes} numbers a sample, as {graph.place} gives, not {dataset.outputs}")
    shape = (steps, *graph.input_shape) if dataset is None else dataset.input_shape
    # One output tells no classes apart: it is a number to be learnt.
    task = dataset.task if dataset is not None else make_task("classification" if classes > 1 else "regression")
    return make_network(
        NAME, num_blocks=blocks, input_shape=shape, seed=0, split=split, options=options, task=task, outputs=(classes,)
    )


def _examples(graph: SpikingGraph, dataset: Dataset | None, steps: int, batch: int) -> np.ndarray:
    """Samples, or random spikes where there are none."""
    if dataset is not None:
        found: np.ndarray = dataset.inputs(np.arange(len(dataset)))
        return found
    shape = (max(batch, 16), steps, *graph.input_shape)
    return (np.random.default_rng(0).random(shape) < _RATE).astype(np.float32)
