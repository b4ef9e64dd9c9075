"""A block's training step, forward pass and feedback head as functions whose rounding is asked for."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from edgebll.kernel.spec.manifest import NEXT
from edgebll.kernel.spec.side_inputs import read_by
from edgebll.kernel.spec.time_chunks import repeated
from edgebll.kernel.state.block_state import Array
from edgebll.learning import BlockStep
from edgebll.learning.step_tensors import scalar_tensors
from edgebll_export.bundles.golden_vectors import StepRecord
from edgebll_export.bundles.own_module_step import OwnModuleStep
from edgebll_export.bundles.rounding_bounds import Function

#: A function of named tensors, inputs, and its results there: what `rounding_bounds.reaches` takes.
Probe = tuple[Function, dict[str, Tensor], dict[str, Array]]


def step_results(record: StepRecord) -> dict[str, Array]:
    """What a step gave, by the names of the graph's outputs."""
    state = {name + NEXT: value for name, value in record.state.items()}
    return {**state, "a": record.a, **record.measured, **record.sent}


def step_probe(step: OwnModuleStep, before: Mapping[str, Array], record: StepRecord) -> Probe:
    """A training step.

    Args:
        step: by the user's own modules; the functional step might be what is wrong.
        before: the state it starts from.
        record: its inputs and results.
    """

    def run(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        state = {name: tensors[name] for name in before}
        scalars = {name: tensors[name] for name in record.scalars}
        received = {name: tensors[name] for name in record.received}
        stepped = step(state, tensors["x"], tensors["y"], scalars, received)
        new = {name + NEXT: value for name, value in stepped.state.items()}
        return {**new, "a": stepped.a, "metrics": stepped.metrics, **stepped.sent}

    inputs = {
        **_tensors(before),
        **scalar_tensors(record.scalars),
        **_tensors({**record.received, "x": record.x, "y": record.y}),
    }
    return run, inputs, step_results(record)


def forward_probe(step: BlockStep, state: Mapping[str, Array], record: StepRecord) -> Probe:
    """The forward pass for the inputs of a record."""
    inputs = _tensors({**state, "x": repeated(step.spec, record.x), **read_by(step.spec, record.received)})

    def run(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"a": step.forward(tensors, tensors["x"], tensors)}

    return run, inputs, {"a": run(inputs)["a"].numpy()}


def feedback_probe(step: BlockStep, state: Mapping[str, Array], y: Array) -> Probe:
    """The feedback head for labels y."""
    inputs = _tensors({**state, "y": y})

    def run(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"beta": step.feedback(tensors, tensors["y"])}

    return run, inputs, {"beta": run(inputs)["beta"].numpy()}


def _tensors(arrays: Mapping[str, Array]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value) for name, value in arrays.items()}
