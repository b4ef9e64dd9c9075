"""One block's graphs on ONNX Runtime beside its eager step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import VerifyError
from edgebll.kernel.spec.manifest import NEXT, BlockSpec
from edgebll.kernel.spec.side_inputs import read_by
from edgebll.kernel.spec.time_chunks import repeated
from edgebll.kernel.state.block_state import Array
from edgebll.kernel.state.numerical_comparison import compare_all
from edgebll.learning import BlockStep
from edgebll_export.bundles.golden_vectors import StepRecord
from edgebll_export.bundles.own_module_step import OwnModuleStep
from edgebll_export.bundles.rounding_bounds import growing_reaches
from edgebll_export.bundles.rounding_probes import Probe, feedback_probe, forward_probe, step_probe


@dataclass(frozen=True)
class VerifyRow:
    """Largest errors of one output of one graph over all steps.

    Attributes:
        max_abs_error, max_rel_error, by_rounding, failed: as of `edgebll.kernel.state.numerical_comparison.Difference`.
    """

    block: str
    graph: str
    tensor: str
    max_abs_error: float
    max_rel_error: float
    by_rounding: bool = False
    failed: bool = False


class BlockCheck:
    """Runs a block's graphs beside the eager step and keeps the worst error of every output.

    Args:
        bundle: holds the graphs.
        step: the eager step.
        tolerance: largest relative error.

    Raises:
        VerifyError: ONNX Runtime refuses a graph.
    """

    def __init__(self, bundle: Bundle, step: BlockStep, tolerance: float) -> None:
        self.step = step
        self.own = OwnModuleStep(step)
        self.tolerance = tolerance
        self.spec: BlockSpec = bundle.manifest.block(step.name)
        self.sessions = {graph: _session(bundle, step.name, graph) for graph in self.spec.graphs}
        self._worst: dict[tuple[str, str], VerifyRow] = {}

    def compare(self, state: Mapping[str, Array], record: StepRecord) -> None:
        """One training step from `state`, then forward pass and feedback head with the state after it."""
        scalars = {name: np.asarray(record.scalars[name], np.float32) for name in self.spec.scalars}
        labels = {"y": record.y} if self.spec.takes_labels else {}
        given = {**state, "x": record.x, **labels, **scalars, **record.received}
        before = {name + NEXT: value for name, value in state.items()}
        self._compare("step", given, step_probe(self.own, state, record), before)
        samples = {"x": repeated(self.spec, record.x), **read_by(self.spec, record.received)}
        given = {**{name: record.state[name] for name in self.spec.forward_state}, **samples}
        self._compare("forward", given, forward_probe(self.step, record.state, record))
        if self.spec.beta is not None:
            given = {**{name: record.state[name] for name in self.spec.feedback_state}, "y": record.y}
            self._compare("feedback", given, feedback_probe(self.step, record.state, record.y))

    def rows(self) -> list[VerifyRow]:
        """The worst row of every output."""
        return list(self._worst.values())

    def _compare(self, graph: str, given: Mapping[str, Array], probe: Probe, before: Mapping[str, Array] | None = None) -> None:
        actual, expected = _run(self.sessions[graph], given), probe[2]
        for name, of in compare_all(actual, expected, self.tolerance, before or {}, growing_reaches(*probe)).items():
            row = VerifyRow(
                self.step.name, graph, name, of.max_abs_error, of.max_rel_error, by_rounding=of.by_rounding, failed=of.failed
            )
            self._keep(row)

    def _keep(self, row: VerifyRow) -> None:
        key = (row.graph, row.tensor)
        old = self._worst.get(key)
        if old is None or (row.failed, row.max_rel_error) > (old.failed, old.max_rel_error):
            self._worst[key] = row


def _session(bundle: Bundle, block: str, graph: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(bundle.graph(block, graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
        raise VerifyError(f"ONNX Runtime refuses {block}/{graph}.onnx: {str(error).splitlines()[0]}") from error


def _run(session: onnxruntime.InferenceSession, inputs: Mapping[str, Any]) -> dict[str, Array]:
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))
