"""Writing bundles: every block's graphs, state and golden vectors, and the manifest."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
import torch
from torch import Tensor

from edgebll.data.sampling import UNIFORM
from edgebll.kernel.bundle import CONSTANTS, bundle_writer, write_manifest
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.microcontroller.block_memory import MicrocontrollerLimits
from edgebll.kernel.spec.edge_check import EdgeSpec, check_edges
from edgebll.kernel.spec.fine_tuning import FINE_TUNING, FineTuning
from edgebll.kernel.spec.last_batch import DROP
from edgebll.kernel.spec.lr_schedule import Schedule
from edgebll.kernel.spec.manifest import FORMAT_VERSION, BlockSpec, Manifest
from edgebll.kernel.spec.side_inputs import carrying
from edgebll.kernel.spec.time_chunks import TIME_STEPS
from edgebll.kernel.state.block_state import save_tensors
from edgebll.kernel.support.atomic_files import storage_errors
from edgebll.kernel.support.plain_dataclasses import to_plain
from edgebll.kernel.tasks import task_record
from edgebll.kernel.version import __version__
from edgebll.learning import OPTIMIZER_REGISTRY, RULE_REGISTRY, BlockStep, Optimizer, Rule, fine_tuned, make_steps
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.networks.network_copy import with_constants
from edgebll.learning.starting_state import starting_state
from edgebll_export.bundles.block_models import BlockModels, block_models
from edgebll_export.bundles.example_steps import input_record
from edgebll_export.bundles.golden_file import golden_tensors
from edgebll_export.bundles.golden_vectors import eager_records
from edgebll_export.bundles.microcontroller_fit import fitted
from edgebll_export.bundles.one_at_a_time import one_at_a_time
from edgebll_export.bundles.own_module_step import OwnModuleStep
from edgebll_export.bundles.repeat_check import check_all_repeatable
from edgebll_export.graph.graph_costs import note_costs
from edgebll_export.targets import ONNX, Target
from edgebll_export.targets.microcontroller import MICROCONTROLLER

if TYPE_CHECKING:
    from edgebll.learning.training import TrainedRun

#: Consecutive steps the golden vectors of a bundle cover.
GOLDEN_STEPS = 3


@one_at_a_time
def export_bundle(
    network: BlockNetwork,
    *,
    rule: Rule,
    optimizer: Optimizer,
    batch_size: int,
    path: Path | str,
    schedule: Schedule | None = None,
    states: Mapping[str, Mapping[str, Tensor]] | None = None,
    provenance: Mapping[str, Any] | None = None,
    target: Target = ONNX,
    precision: str = "float32",
    examples: Any = None,
    fine_tuning: FineTuning | None = None,
    last_batch: str = DROP,
    limits: MicrocontrollerLimits | None = None,
) -> Manifest:
    """Export every block of a network: forward pass, feedback head, training step, state and golden vectors.

    Args:
        network: any torch modules as blocks; never changed.
        rule: how blocks learn, e.g. of `make_rule`.
        optimizer: how each block descends, e.g. of `make_optimizer`.
        batch_size: samples a step; the graphs are static.
        path: the bundle folder; an earlier bundle there is replaced once the new one is whole.
        schedule: default learning-rate schedule of a run; by default a cosine from optimizer.lr.
        states: block name -> state to start from; by default the network's current weights.
        provenance: entries added to the manifest's recipe, e.g. the data set the states were trained on.
        target: what the graphs are for; see `make_target`.
        precision: one of `edgebll.learning.PRECISIONS`.
        examples: a batch of real samples (N, *input_shape), which golden vectors are drawn from; by default the network's own
            example_inputs or input_range, else N(0, 1).
        fine_tuning: which parts of the network are trained; by default all, or what the network's own tuning says.
        last_batch: "mask" for steps that are told how many samples of a batch count, so that runs can train on those that fill
            none; "drop" leaves these out.
        limits: memory that each block must fit into, and how, for the target "microcontroller".

    Raises:
        ExportError: an operator cannot be lowered or run on the target; names it and its place in the network. Or a block fails
            on the examples, or gives NaN or infinite numbers.
        ConfigError: the rule cannot train this network, a tuning means nothing of it, an option of the optimiser is called
            "name" or "code", or a block is no function of its state and inputs: it keeps something between calls, or draws
            random numbers that are not PyTorch's.
        BundleError: its edges cannot run, see `edgebll.kernel.spec.edge_check.check_edges`.
        StorageError: the folder cannot be written.

    Examples:
        >>> import edgebll
        >>> from torch import nn
        >>> blocks = [nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU()), nn.Linear(16, 10)]
        >>> network = edgebll.BlockNetwork(blocks, num_classes=10, input_shape=(1, 8, 8))
        >>> manifest = edgebll.export_bundle(
        ...     network, rule=edgebll.BLL(pool="none"), optimizer=edgebll.SGD(lr=0.01), batch_size=16, path="own-bundle"
        ... )
        >>> manifest.batch_size, manifest.blocks[0].output.shape
        (16, (16, 16))
    """
    descent = {**optimizer.options(), **OPTIMIZER_REGISTRY.record(optimizer, optimizer.name)}
    network = with_constants(fine_tuned(network, fine_tuning or FineTuning()), states or {}, "the given states")
    inputs = network.inputs.with_examples(examples)
    steps = make_steps(network, rule, optimizer, batch_size, precision, last_batch)
    edges = _edges(rule, steps)
    check_edges(edges, [step.spec for step in steps])
    start = {step.name: starting_state(step, (states or {}).get(step.name, {})) for step in steps}
    # Before anything is traced, so that what fails fails with the user's own line; as functions, for what modules keep.
    for called in eager_records(steps, start, edges, 1, optimizer.lr, inputs=inputs):
        check_all_repeatable(steps, start, called)
    own = [OwnModuleStep(step) for step in steps]
    records = list(zip(*eager_records(own, start, edges, GOLDEN_STEPS, optimizer.lr, inputs=inputs), strict=True))
    blocks = [block_models(step, target) for step in steps]
    with bundle_writer(path) as folder:
        for step, block, record in zip(steps, blocks, records, strict=True):
            state = start[step.name]
            _write_block(folder / step.name, block, state, golden_tensors(step, record, state))
            if step.constants:
                save_tensors(folder / step.name / CONSTANTS, {name: value.numpy() for name, value in step.constants.items()})
        recipe = {**asdict(schedule or Schedule(optimizer.lr)), **input_record(inputs), **_told(network, steps)}
        recipe |= provenance or {}
        manifest = _manifest(network, rule, descent, steps, [block.spec for block in blocks], recipe)
        written = write_manifest(folder, replace(manifest, target=target.name, precision=precision))
        if target.name == MICROCONTROLLER:
            recompute = fitted(folder, limits or MicrocontrollerLimits())
            written = write_manifest(folder, replace(written, recompute=recompute)) if recompute else written
        return written


def _told(network: BlockNetwork, steps: list[BlockStep]) -> dict[str, Any]:
    """What a manifest's recipe says of how blocks train."""
    notes = {step.name: list(step.notes) for step in steps if step.notes}
    tuning = {FINE_TUNING: to_plain(network.fine_tuning)} if network.fine_tuning else {}
    return {**tuning, **({"notes": notes} if notes else {})}


def _write_block(folder: Path, block: BlockModels, state: Mapping[str, Tensor], golden: Mapping[str, Any]) -> None:
    with storage_errors(folder):
        folder.mkdir()
        for name, model in block.models.items():
            note_costs(model)
            (folder / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
    save_tensors(folder / "state.safetensors", {name: value.numpy() for name, value in state.items()})
    save_tensors(folder / "golden.safetensors", golden)


def _manifest(
    network: BlockNetwork,
    rule: Rule,
    optimizer: dict[str, Any],
    steps: list[BlockStep],
    specs: list[BlockSpec],
    recipe: dict[str, Any],
) -> Manifest:
    return Manifest(
        format_version=FORMAT_VERSION,
        network=network.description,
        rule={**RULE_REGISTRY.record(rule, rule.name), "options": rule.options()},
        optimizer=optimizer,
        recipe=recipe | ({TIME_STEPS: network.time_steps} if network.time_steps else {}),
        batch_size=steps[0].spec.input.shape[0],
        num_classes=network.num_classes,
        input_shape=network.input_shape,
        blocks=tuple(specs),
        edges=_edges(rule, steps),
        golden_steps=GOLDEN_STEPS,
        task=task_record(network.task),
        versions={
            "edgebll": __version__,
            "onnx": onnx.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    )


def _edges(rule: Rule, steps: list[BlockStep]) -> tuple[EdgeSpec, ...]:
    return carrying(rule.edges([step.name for step in steps]), [step.spec for step in steps])


def export_run(
    run: TrainedRun | Path | str,
    out_path: Path | str,
    *,
    state: str = "trained",
    batch_size: int | None = None,
    target: Target = ONNX,
    precision: str | None = None,
    examples: Any = None,
    fine_tuning: FineTuning | None = None,
    merge: bool = False,
    limits: MicrocontrollerLimits | None = None,
    state_bits: int | None = None,
) -> Manifest:
    """Export what `edgebll train` made.

    Args:
        run: the training run or its folder.
        out_path: the bundle to write.
        state: "trained" or "initial": which weights boards start from.
        batch_size: samples a step; by default the run's.
        target: what the graphs are for.
        precision: numbers they compute in; by default the run's.
        examples: as for `export_bundle`.
        fine_tuning: which parts of the network boards train; by default those that the run trained.
        merge: add the run's adapters to the weights and let boards train the plain network, or what `fine_tuning` says of it.
        limits: as for `export_bundle`.
        state_bits: of weights and moments, 32, 16 or 8; by default the run's.

    Raises:
        BundleError: the run is missing or not whole. ConfigError: unknown `state`. And what `export_bundle` raises.
    """
    if state not in ("trained", "initial"):
        raise ConfigError(f"the state must be 'trained' or 'initial', not {state!r}")
    from edgebll.learning.training import TrainedRun, load_run

    trained = run if isinstance(run, TrainedRun) else load_run(run)
    own = {"data_options": trained.data_options} if trained.data_options else {}
    sampled = {} if trained.config.sampling == UNIFORM else {"sampling": trained.config.sampling}
    is_plain = bool(fine_tuning) or merge
    return export_bundle(
        trained.plain if is_plain else trained.network,
        rule=trained.rule,
        optimizer=trained.optimizer if state_bits is None else replace(trained.optimizer, state_bits=state_bits),
        batch_size=batch_size or trained.batch_size,
        path=out_path,
        schedule=trained.schedule,
        states=trained.plain_states(state) if is_plain else trained.states(state),
        provenance={"data": trained.data, **own, "augment": trained.augment, **sampled, "state": state},
        target=target,
        precision=precision or trained.precision,
        examples=examples,
        fine_tuning=fine_tuning,
        last_batch=trained.config.last_batch,
        limits=limits,
    )
