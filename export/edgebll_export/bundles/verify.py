"""Comparing a bundle's graphs on ONNX Runtime with the eager step of PyTorch.

Every graph is run over consecutive training steps. Each step starts both sides from the same state (the eager one), so that the
comparison is about the step and not about how training amplifies rounding. The comparison is that of
`edgebll.kernel.state.numerical_comparison`; how far rounding moves a result is measured where a difference asks for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.errors import BundleError, ConfigError, VerifyError
from edgebll.kernel.spec.fine_tuning import tuning_in
from edgebll.kernel.spec.last_batch import last_batch_of
from edgebll.kernel.spec.side_inputs import of_a_sample
from edgebll.kernel.state.block_state import State
from edgebll.kernel.state.numerical_comparison import TOLERANCE
from edgebll.kernel.support.bounds import COUNT
from edgebll.kernel.support.plain_dataclasses import PlainError
from edgebll.kernel.tasks import task_of_record
from edgebll.learning import OPTIMIZER_REGISTRY, RULE_REGISTRY, BlockStep, fine_tuned, make_steps
from edgebll.learning.networks import NETWORKS, BlockNetwork, rebuild_network
from edgebll.learning.networks.network_copy import with_constants
from edgebll_export.bundles.block_check import BlockCheck, VerifyRow
from edgebll_export.bundles.example_steps import RECIPE, verify_inputs
from edgebll_export.bundles.golden_vectors import eager_records
from edgebll_export.bundles.one_at_a_time import one_at_a_time
from edgebll_export.bundles.own_module_step import OwnModuleStep
from edgebll_export.bundles.repeat_check import check_all_repeatable

#: What ONNX Runtime computes in on processors.
_ON_PROCESSORS = ("float32", "mixed", "int8")


@one_at_a_time
def verify_bundle(
    path: Path | str,
    *,
    steps: int = 5,
    tolerance: float | None = None,
    network: BlockNetwork | None = None,
    examples: Any = None,
) -> list[VerifyRow]:
    """Compare every graph of a bundle with the eager step; `failed` marks rows beyond the tolerance.

    Args:
        path: the bundle.
        steps: consecutive training steps.
        tolerance: largest relative error of any output, by default that of TOLERANCE for the bundle's precision.
        network: needed for networks other than the shipped ones: the network that was exported.
        examples: a batch of real samples to run on; by default the network's own, else those of the golden vectors if they are
            not from N(0, 1), else N(0, 1).

    Raises:
        BundleError: the bundle is broken.
        ConfigError: the network cannot be rebuilt, steps < 1, or a block is no function of its state and inputs.
        VerifyError: ONNX Runtime refuses a graph, or does not compute in the bundle's precision.
        ExportError: a block fails on the examples, or gives NaN or infinite numbers, with which nothing can be compared.
    """
    COUNT.check("the number of steps", steps)
    bundle = open_bundle(path)
    limit = default_tolerance(bundle) if tolerance is None else tolerance
    inputs = verify_inputs(bundle, network, examples)
    eager = rebuild_steps(bundle, network)
    states = {step.name: _tensors(bundle.state(step.name)) for step in eager}
    checks = [BlockCheck(bundle, step, limit) for step in eager]
    before = {name: {k: v.numpy() for k, v in state.items()} for name, state in states.items()}
    own = [OwnModuleStep(step) for step in eager]
    recorded = eager_records(own, states, bundle.manifest.edges, steps, eager[0].optimizer.lr, inputs=inputs)
    for index, records in enumerate(recorded):
        if index == 0:
            check_all_repeatable(eager, states, records)
        for check, record in zip(checks, records, strict=True):
            check.compare(before[check.step.name], record)
            before[check.step.name] = record.state
    return [row for check in checks for row in check.rows()]


def default_tolerance(bundle: Bundle) -> float:
    """The tolerance that fits a bundle's precision; raises VerifyError where ONNX Runtime does not compute in it."""
    precision = bundle.manifest.precision
    if precision not in _ON_PROCESSORS:
        raise VerifyError(
            f"{bundle.path} computes in {precision}, which ONNX Runtime does not have on processors; verify it on the board: "
            "edgebll-board verify"
        )
    return TOLERANCE[precision]


def _rebuilt(bundle: Bundle) -> BlockNetwork:
    manifest = bundle.manifest
    name = manifest.network.get("name")
    if name not in NETWORKS and "code" not in manifest.network:
        raise ConfigError(
            f"the network {name!r} of {bundle.path} was made in Python and is in no file that it could be imported from; "
            "verify it from Python: edgebll_export.verify_bundle(path, network=your_network)"
        )
    task, outputs = task_of_record(manifest.task, str(bundle.path)), manifest.blocks[-1].output.shape[1:]
    side = of_a_sample(manifest.blocks)
    return rebuild_network(manifest.network, manifest.num_classes, manifest.input_shape, task, outputs, side)


def rebuild_steps(bundle: Bundle, network: BlockNetwork | None) -> list[BlockStep]:
    """The eager steps a bundle was exported from."""
    manifest, where = bundle.manifest, str(bundle.path)
    try:
        network = network or _rebuilt(bundle)
        rule = RULE_REGISTRY.recall(manifest.rule["name"], manifest.rule["options"], manifest.rule.get("code"), where)
        options = dict(manifest.optimizer)
        name, code = options.pop("name", None), options.pop("code", None)
        optimizer = OPTIMIZER_REGISTRY.recall(str(name), options, code, where)
    except PlainError as error:
        raise BundleError(f"{error}; export the bundle again") from error
    kept = {spec.name: _tensors(bundle.constants(spec.name)) for spec in manifest.blocks}
    network = with_constants(fine_tuned(network, tuning_in(manifest.recipe, where)), kept, where)
    last_batch = last_batch_of(block.scalars for block in manifest.blocks)
    steps = make_steps(network, rule, optimizer, manifest.batch_size, manifest.precision, last_batch)
    for step, spec in zip(steps, manifest.blocks, strict=True):
        then = tuple(manifest.recipe.get("notes", {}).get(step.name, ()))
        if then != step.notes and RECIPE in manifest.recipe:  # bundles of before say neither
            raise BundleError(
                f"{bundle.path}: layers of {spec.name} are in other modes than at its export ({'; '.join(step.notes or then)}"
                "); put them into those, or export the bundle again"
            )
        ours, theirs = ((one.state, one.input, one.labels, one.received, one.sent, one.chunks) for one in (step.spec, spec))
        if ours != theirs:
            raise BundleError(f"{bundle.path}: {spec.name} does not belong to this network; export the bundle again")
    return steps


def _tensors(arrays: State) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value.copy()) for name, value in arrays.items()}
