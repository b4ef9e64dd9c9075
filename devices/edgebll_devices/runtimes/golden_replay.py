"""Replaying a bundle's golden vectors on a runtime: does this machine compute what the exporter computed?

Every recorded step starts from the recorded state before it, so that the comparison is about the step, not about how training
amplifies rounding; what rounding may do to each result comes with the golden vectors. The rule is that of
`edgebll.kernel.state.numerical_comparison`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from edgebll.kernel.bundle import Bundle, reach_name, state_name
from edgebll.kernel.errors import BundleError
from edgebll.kernel.spec.manifest import BlockSpec
from edgebll.kernel.spec.side_inputs import side_inputs
from edgebll.kernel.state.block_state import Array
from edgebll.kernel.state.numerical_comparison import TOLERANCE, Size, compare
from edgebll_devices.runtimes import BlockRuntime, load_block

#: Largest relative error after training steps from which no state is recorded in between, as early bundles have them. Where a
#: ReLU's input is zero within rounding, its gradient is 0 or 1 by chance in any two correct implementations, and a weight may
#: then move by one sample's share of its gradient. Only gross errors show here; export the bundle again for a sharp comparison.
_REPLAYED_TOLERANCE = {"float32": 5e-2, "mixed": 6e-1, "bfloat16": 1.0, "int8": 1.0}


class GoldenRow(NamedTuple):
    """How far one tensor is from its golden vector; see `edgebll.kernel.state.numerical_comparison.Difference`."""

    tensor: str
    max_abs_error: float
    max_rel_error: float
    tolerance: float
    by_rounding: bool = False
    failed: bool = False


def replay(bundle: Bundle, block: str, runtime: str, *, threads: int = 1) -> list[GoldenRow]:
    """Load a block with a runtime, repeat its recorded training steps, forward pass and feedback, and compare.

    Args:
        bundle: an opened bundle with golden vectors.
        block: the block's name.
        runtime: one of the runtimes that `load_block` knows.
        threads: threads of one training step, at least 1.

    Returns:
        One row for every output of every step ("0/a", "0/metrics" and what is sent), every state tensor after each step
        ("0/next/w", after the last one "final/w"), "forward/a" and, where there is a feedback head, "feedback/beta". And one
        for every state tensor of a step that goes on without a recorded state: "again/w" compares it, bit by bit, with the same
        step from the state that the runtime gave and took again.

    Raises:
        BundleError: the bundle has no golden vectors, or they are incomplete. And what `load_block` and the runtime raise.
    """
    if not bundle.manifest.golden_steps:
        raise BundleError(f"{bundle.path} has no golden vectors; compare a bundle that `edgebll export` wrote")
    golden = _Golden(bundle, block)
    with load_block(runtime, bundle, block, threads=threads) as loaded:
        return list(_rows(loaded, golden, bundle.manifest.golden_steps))


def failures(rows: Sequence[GoldenRow]) -> list[GoldenRow]:
    """The rows beyond their tolerance, worst first."""
    return sorted((row for row in rows if row.failed), key=lambda row: -row.max_rel_error)


class _Golden:
    """Golden tensors by name, with a sentence where one is missing."""

    def __init__(self, bundle: Bundle, block: str) -> None:
        self._where = f"{bundle.path}/{block}/golden.safetensors"
        self._tensors = bundle.golden(block)
        self._precision = bundle.manifest.precision
        self.start: Mapping[str, Array] = bundle.state(block)
        #: Whether the state after every step is recorded, and not after the last one only.
        self.has_states = any(name.startswith(reach_name("")) for name in self._tensors)
        if self._precision not in TOLERANCE:
            raise BundleError(f"{bundle.path} computes in {self._precision[:40]!r}, which this edgebll does not know")

    def __getitem__(self, name: str) -> Array:
        if name not in self._tensors:
            raise BundleError(f"{self._where} has no tensor {name!r}; export the bundle again")
        return self._tensors[name]

    def state(self, spec: BlockSpec, step: int, num_steps: int) -> dict[str, Array]:
        """The recorded state after a step."""
        return {tensor.name: self[state_name(step, num_steps, tensor.name)] for tensor in spec.state}

    def row(self, name: str, actual: Array, *, before: Array | None = None, replayed: bool = False) -> GoldenRow:
        """Compare; `before` is a state tensor's value before the step, `replayed`: other steps lie in between."""
        expected = self[name]
        if actual.shape != expected.shape or actual.dtype != expected.dtype:
            raise BundleError(
                f"{self._where}: {name!r} must be {actual.dtype.name}{list(actual.shape)}, "
                f"but is {expected.dtype.name}{list(expected.shape)}; export the bundle again"
            )
        tolerance = (_REPLAYED_TOLERANCE if replayed else TOLERANCE)[self._precision]
        found = compare(actual, expected, tolerance, before=before, reach=self._reach(name))
        return GoldenRow(name, found.max_abs_error, found.max_rel_error, tolerance, found.by_rounding, found.failed)

    def _reach(self, name: str) -> Size | None:
        """How far rounding moves a tensor, where the bundle says it."""
        reach = self._tensors.get(reach_name(name))
        if reach is None:
            return None
        if reach.shape != (2,) or reach.dtype.kind != "f":
            raise BundleError(f"{self._where}: {reach_name(name)!r} must be two numbers; export the bundle again")
        return Size(float(reach[0]), float(reach[1]))


def _rows(block: BlockRuntime, golden: _Golden, num_steps: int) -> Iterator[GoldenRow]:
    spec = block.spec
    before = golden.start
    for step in range(num_steps):
        replayed = step > 0 and not golden.has_states
        if step == 1 and golden.has_states:
            yield from _goes_on(block, golden, step)
        if step and golden.has_states:
            block.load_state(before)
        a, metrics, sent = _train(block, golden, step)
        measured = {"metrics": _vector(spec, metrics)} if spec.metrics else {}
        for name, value in {"a": a, **measured, **sent}.items():
            yield golden.row(f"{step}/{name}", value, replayed=replayed)
        if golden.has_states:
            for name, value in block.state().items():
                yield golden.row(state_name(step, num_steps, name), value, before=before[name])
            before = golden.state(spec, step, num_steps)
    final = golden.state(spec, num_steps - 1, num_steps)
    if not golden.has_states:
        for name, value in block.state().items():
            yield golden.row(f"final/{name}", value, replayed=True)
    block.load_state(final)
    inputs = {tensor.name: golden[f"forward/{tensor.name}"] for tensor in side_inputs(spec)}
    yield golden.row("forward/a", block.evaluate(golden["forward/x"], inputs or None))
    if spec.beta is not None:
        yield golden.row("feedback/beta", block.feedback(golden["feedback/y"]))


def _goes_on(block: BlockRuntime, golden: _Golden, step: int) -> Iterator[GoldenRow]:
    """Whether a step after a step is, bit by bit, a step from the state that was read in between."""
    own = block.state()
    _train(block, golden, step)
    went_on = block.state()
    block.load_state(own)
    _train(block, golden, step)
    for name, value in block.state().items():
        found = compare(went_on[name], value, 0.0)
        differs = went_on[name].tobytes() != value.tobytes()
        yield GoldenRow(f"again/{name}", found.max_abs_error, found.max_rel_error, 0.0, failed=differs)


def _train(block: BlockRuntime, golden: _Golden, step: int) -> tuple[Array, Mapping[str, float], Mapping[str, Array]]:
    spec = block.spec
    scalars = {name: _number(golden, f"{step}/{name}") for name in spec.scalars}
    received = {tensor.name: golden[f"{step}/{tensor.name}"] for tensor in spec.received}
    return block.train(golden[f"{step}/x"], golden[f"{step}/y"], scalars, received)


def _number(golden: _Golden, name: str) -> float:
    value = golden[name]
    if value.size != 1:
        raise BundleError(f"the golden scalar {name!r} has {value.size} entries; export the bundle again")
    return float(value.reshape(())[()])


def _vector(spec: BlockSpec, metrics: Mapping[str, float]) -> Array:
    return np.array([metrics[name] for name in spec.metrics], np.float32)
