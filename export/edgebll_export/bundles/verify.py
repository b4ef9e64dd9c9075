"""Comparing a bundle's graphs on ONNX Runtime with the eager step of PyTorch.

Every graph is run over consecutive training steps. Each step starts both sides from the same state (the eager one), so that the
comparison is about the step and not about how training amplifies rounding. What rounding may do within one step is compared
with how far the eager step itself moves when its input moves by as much (see `edgebll_export.bundles.rounding_bounds`); only
what exceeds that
too is a failure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.errors import BundleError, ConfigError, VerifyError
from edgebll.kernel.spec.manifest import NEXT, BlockSpec
from edgebll.kernel.state.block_state import Array
from edgebll.learning import BlockStep, make_optimizer, make_rule, make_steps
from edgebll.learning.networks import NETWORKS, BlockNetwork, rebuild_network
from edgebll_export.bundles.example_steps import RECIPE, verify_inputs
from edgebll_export.bundles.golden_vectors import StepRecord, eager_records
from edgebll_export.bundles.own_module_step import OwnModuleStep
from edgebll_export.bundles.rounding_bounds import MARGIN, NOISE, TOLERANCE, TRIALS, Distances, errors, movements


@dataclass(frozen=True)
class VerifyRow:
    """Largest errors of one output of one graph over all steps.

    Attributes:
        max_abs_error: largest |onnx - eager|.
        max_rel_error: the same over the largest |eager| of the tensor.
        at_kink: the error exceeds the tolerance, but not what rounding noise does to the eager step itself.
        failed: the error exceeds both.
    """

    block: str
    graph: str
    tensor: str
    max_abs_error: float
    max_rel_error: float
    at_kink: bool = False
    failed: bool = False


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
        BundleError: the bundle is broken. ConfigError: the network cannot be rebuilt, or steps < 1.
        VerifyError: ONNX Runtime refuses a graph, or does not compute in the bundle's precision.
        ExportError: a block fails on the examples, or gives NaN or infinite numbers, with which nothing can be compared.
    """
    if steps < 1:
        raise ConfigError(f"the number of steps must be at least 1, not {steps}")
    bundle = open_bundle(path)
    limit = default_tolerance(bundle) if tolerance is None else tolerance
    inputs = verify_inputs(bundle, network, examples)
    eager = rebuild_steps(bundle, network)
    states = {step.name: {k: torch.from_numpy(v.copy()) for k, v in bundle.state(step.name).items()} for step in eager}
    checks = [_BlockCheck(bundle, step, limit) for step in eager]
    before = {name: {k: v.numpy() for k, v in state.items()} for name, state in states.items()}
    own = [OwnModuleStep(step) for step in eager]
    for records in eager_records(own, states, bundle.manifest.edges, steps, eager[0].optimizer.lr, inputs=inputs):
        for check, record in zip(checks, records, strict=True):
            check.compare(before[check.step.name], record)
            before[check.step.name] = record.state
    return [row for check in checks for row in check.rows()]


def default_tolerance(bundle: Bundle) -> float:
    """The tolerance that fits a bundle's precision; raises VerifyError where ONNX Runtime does not compute in it."""
    precision = bundle.manifest.precision
    if precision not in TOLERANCE:
        raise VerifyError(
            f"{bundle.path} computes in {precision}, which ONNX Runtime does not have on processors; verify it on the board: "
            "edgebll-board verify"
        )
    return TOLERANCE[precision]


def rebuild_steps(bundle: Bundle, network: BlockNetwork | None) -> list[BlockStep]:
    """The eager steps a bundle was exported from."""
    manifest = bundle.manifest
    name = manifest.network.get("name")
    if network is None:
        if name not in NETWORKS:
            raise ConfigError(
                f"the network {name!r} of {bundle.path} is not a shipped one; verify it from Python: "
                "edgebll_export.verify_bundle(path, network=your_network)"
            )
        network = rebuild_network(manifest.network, manifest.num_classes, manifest.input_shape)
    rule = make_rule(manifest.rule["name"], **manifest.rule["options"])
    options = dict(manifest.optimizer)
    optimizer = make_optimizer(str(options.pop("name", None)), **options)
    steps = make_steps(network, rule, optimizer, manifest.batch_size, manifest.precision)
    for step, spec in zip(steps, manifest.blocks, strict=True):
        ours, theirs = ((one.state, one.input, one.received, one.sent) for one in (step.spec, spec))
        if ours != theirs:
            raise BundleError(f"{bundle.path}: {spec.name} does not belong to this network; export the bundle again")
        then = tuple(manifest.recipe.get("notes", {}).get(step.name, ()))
        if then != step.notes and RECIPE in manifest.recipe:  # bundles of before say neither
            raise BundleError(
                f"{bundle.path}: layers of {spec.name} are in other modes than at its export ({'; '.join(step.notes or then)}"
                "); put them into those, or export the bundle again"
            )
    return steps


class _BlockCheck:
    """Runs one block's graphs beside the eager step and keeps the worst error of every output."""

    def __init__(self, bundle: Bundle, step: BlockStep, tolerance: float) -> None:
        self.step = step
        self.own = OwnModuleStep(step)
        self.tolerance = tolerance
        self.spec: BlockSpec = bundle.manifest.block(step.name)
        self.sessions = {graph: _session(bundle, step.name, graph) for graph in self.spec.graphs}
        self._worst: dict[tuple[str, str], VerifyRow] = {}

    def compare(self, state: Mapping[str, Array], record: StepRecord) -> None:
        """One training step from `state`, then forward pass and feedback head with the state after it."""
        scalars = {name: np.asarray(value, np.float32) for name, value in record.scalars.items()}
        actual = _run(self.sessions["step"], {**state, "x": record.x, "y": record.y, **scalars, **record.received})
        expected = {
            **{name + NEXT: value for name, value in record.state.items()},
            "a": record.a,
            "metrics": record.metrics,
            **record.sent,
        }
        sensitivity: dict[str, Distances] | None = None
        for name, value in expected.items():
            row = self._row("step", name, actual[name], value)
            if row.failed:
                if sensitivity is None:
                    sensitivity = movements(expected, self._noisy_steps(state, record))
                explained = row.max_abs_error <= MARGIN * float(sensitivity[name].max(initial=0.0))
                row = replace(row, at_kink=explained, failed=not explained)
            self._keep(row)
        after = {name: torch.from_numpy(value) for name, value in record.state.items()}
        inputs = {name: record.state[name] for name in self.spec.forward_state}
        a = self.step.forward(after, torch.from_numpy(record.x)).numpy()
        self._keep(self._row("forward", "a", _run(self.sessions["forward"], {**inputs, "x": record.x})["a"], a))
        if self.spec.beta is not None:
            inputs = {name: record.state[name] for name in self.spec.feedback_state}
            beta = self.step.feedback(after, torch.from_numpy(record.y)).numpy()
            self._keep(self._row("feedback", "beta", _run(self.sessions["feedback"], {**inputs, "y": record.y})["beta"], beta))

    def rows(self) -> list[VerifyRow]:
        """The worst row of every output."""
        return list(self._worst.values())

    def _row(self, graph: str, tensor: str, actual: Array, expected: Array) -> VerifyRow:
        absolute, relative = errors(actual, expected)
        return VerifyRow(self.step.name, graph, tensor, absolute, relative, failed=not relative <= self.tolerance)

    def _keep(self, row: VerifyRow) -> None:
        key = (row.graph, row.tensor)
        old = self._worst.get(key)
        if old is None or (row.failed, row.max_rel_error) > (old.failed, old.max_rel_error):
            self._worst[key] = row

    def _noisy_steps(self, state: Mapping[str, Array], record: StepRecord) -> Iterator[dict[str, Array]]:
        """What the block's own module gives where x is off by rounding; the functional step might be what is wrong."""
        generator = torch.Generator().manual_seed(0)
        scalars = {name: torch.tensor(value) for name, value in record.scalars.items()}
        before = {name: torch.from_numpy(value) for name, value in state.items()}
        x, y = torch.from_numpy(record.x), torch.from_numpy(record.y)
        received = {name: torch.from_numpy(value) for name, value in record.received.items()}
        size = NOISE[self.step.precision.name] * float(x.abs().max())
        for _ in range(TRIALS):
            moved = x + size * torch.randn(x.shape, generator=generator)
            stepped = self.own(before, moved, y, scalars, received)
            new = {name + NEXT: value for name, value in stepped.state.items()}
            outputs = {**new, "a": stepped.a, "metrics": stepped.metrics, **stepped.sent}
            yield {name: value.numpy() for name, value in outputs.items()}


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


def failures(rows: Sequence[VerifyRow]) -> list[VerifyRow]:
    """The rows that failed, worst first."""
    return sorted((row for row in rows if row.failed), key=lambda row: -row.max_rel_error)
