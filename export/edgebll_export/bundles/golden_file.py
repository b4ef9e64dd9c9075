"""A block's golden vectors as a bundle holds them: recorded steps, and how far rounding may move each result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from edgebll.kernel.bundle import reach_name, state_name
from edgebll.kernel.spec.manifest import NEXT
from edgebll.kernel.spec.side_inputs import read_by
from edgebll.kernel.spec.time_chunks import repeated
from edgebll.kernel.state.block_state import Array
from edgebll.kernel.state.numerical_comparison import Reach, Size
from edgebll.learning import BlockStep
from edgebll_export.bundles.golden_vectors import StepRecord
from edgebll_export.bundles.own_module_step import OwnModuleStep
from edgebll_export.bundles.rounding_bounds import reaches
from edgebll_export.bundles.rounding_probes import feedback_probe, forward_probe, step_probe


def golden_tensors(step: BlockStep, records: Sequence[StepRecord], start: Mapping[str, Tensor]) -> dict[str, Array]:
    """Golden vectors of one block, laid out as `edgebll.kernel.bundle.Bundle.golden` says.

    Args:
        step: of the block.
        records: of consecutive steps.
        start: the state before the first.
    """
    tensors: dict[str, Array] = {}
    own = OwnModuleStep(step)
    before: Mapping[str, Array] = {name: value.numpy() for name, value in start.items()}
    for index, record in enumerate(records):
        results = {"a": record.a, **record.measured, **record.sent}
        tensors |= {f"{index}/{name}": value for name, value in {"x": record.x, "y": record.y, **record.received}.items()}
        tensors |= {f"{index}/{name}": np.asarray(value, np.float32) for name, value in record.scalars.items()}
        tensors |= {f"{index}/{name}": value for name, value in results.items()}
        names = {name + NEXT: state_name(index, len(records), name) for name in record.state}
        tensors |= {names[name + NEXT]: value for name, value in record.state.items()}
        for name, reach in reaches(*step_probe(own, before, record)).items():
            tensors |= _reach(names.get(name, f"{index}/{name}"), reach)
        before = record.state
    return tensors | _evaluated(step, records[-1])


def _evaluated(step: BlockStep, last: StepRecord) -> dict[str, Array]:
    """Those of the forward pass and the feedback head."""
    forward = forward_probe(step, last.state, last)
    tensors = {
        f"forward/{name}": value
        for name, value in {"x": repeated(step.spec, last.x), **read_by(step.spec, last.received)}.items()
    }
    tensors |= {"forward/a": forward[2]["a"], **_reach("forward/a", reaches(*forward)["a"])}
    if step.spec.beta is None:
        return tensors
    feedback = feedback_probe(step, last.state, last.y)
    reach = _reach("feedback/beta", reaches(*feedback)["beta"])
    return {**tensors, "feedback/y": last.y, "feedback/beta": feedback[2]["beta"], **reach}


def _reach(name: str, reach: Reach) -> dict[str, Array]:
    """Whole numbers have none: they are equal or wrong."""
    return {reach_name(name): np.array(reach, np.float32)} if isinstance(reach, Size) else {}
