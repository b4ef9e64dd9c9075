"""How far rounding moves what a block's training step, forward pass and feedback head give."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from edgebll.kernel.spec.manifest import NEXT
from edgebll.kernel.state.block_state import Array
from edgebll.kernel.state.numerical_comparison import Size
from edgebll.learning import BlockStep
from edgebll_export.bundles.golden_vectors import StepRecord
from edgebll_export.bundles.own_module_step import OwnModuleStep
from edgebll_export.bundles.rounding_bounds import reaches


def step_results(record: StepRecord) -> dict[str, Array]:
    """What a step gave, by the names of the graph's outputs."""
    state = {name + NEXT: value for name, value in record.state.items()}
    return {**state, "a": record.a, "metrics": record.metrics, **record.sent}


def step_reach(step: OwnModuleStep, before: Mapping[str, Array], record: StepRecord) -> dict[str, Size]:
    """The reach of each result of a training step.

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

    scalars = {name: torch.tensor(value) for name, value in record.scalars.items()}
    inputs = {**_tensors(before), **scalars, **_tensors({**record.received, "x": record.x, "y": record.y})}
    return reaches(run, inputs, step_results(record))


def forward_reach(step: BlockStep, state: Mapping[str, Array], x: Array, a: Array) -> Size:
    """The reach of the forward pass's a for an input x."""
    return reaches(lambda tensors: {"a": step.forward(tensors, tensors["x"])}, _tensors({**state, "x": x}), {"a": a})["a"]


def feedback_reach(step: BlockStep, state: Mapping[str, Array], y: Array, beta: Array) -> Size:
    """The reach of the feedback head's beta for labels y."""
    inputs = _tensors({**state, "y": y})
    return reaches(lambda tensors: {"beta": step.feedback(tensors, tensors["y"])}, inputs, {"beta": beta})["beta"]


def _tensors(arrays: Mapping[str, Array]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value) for name, value in arrays.items()}
