"""Replaying a bundle's golden vectors on a runtime: does this machine compute what the exporter computed?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BundleError
from edgebll.kernel.spec.manifest import BlockSpec
from edgebll.kernel.state.block_state import Array
from edgebll_devices.runtimes import BlockRuntime, load_block

#: Precision -> largest relative error of what is computed from the very state and input of the golden vectors.
DIRECT_TOLERANCE = {"float32": 1e-4, "mixed": 2e-2, "bfloat16": 1e-1}
#: The same where training steps lie in between. Where a ReLU's input is zero within rounding, its gradient is 0 or 1 by
#: chance in any two correct implementations, and a weight may then move by one sample's share of its gradient.
#: In half precision that happens to many samples at once, so only gross errors show here; `edgebll verify` is sharper.
TRAINED_TOLERANCE = {"float32": 5e-2, "mixed": 6e-1, "bfloat16": 1.0}


class GoldenRow(NamedTuple):
    """Error of one tensor: largest |actual - golden|, and that over the largest |golden|; infinite where not finite."""

    tensor: str
    max_abs_error: float
    max_rel_error: float
    precision: str = "float32"

    @property
    def tolerance(self) -> float:
        """Largest relative error to be expected of a correct runtime."""
        direct = self.tensor.startswith(("0/", "forward/", "feedback/"))
        return (DIRECT_TOLERANCE if direct else TRAINED_TOLERANCE)[self.precision]

    @property
    def failed(self) -> bool:
        """Whether the error is beyond the tolerance."""
        return not self.max_rel_error <= self.tolerance


def replay(bundle: Bundle, block: str, runtime: str, *, threads: int = 1) -> list[GoldenRow]:
    """Load a block with a runtime, repeat its recorded training steps, forward pass and feedback, and compare.

    Args:
        bundle: an opened bundle with golden vectors.
        block: the block's name.
        runtime: as for `load_block`.
        threads: as for `load_block`.

    Returns:
        One row for every output of every step ("0/a", "0/metrics" and what is sent), every state tensor after the last step
        ("final/w"), "forward/a" and, where there is a feedback head, "feedback/beta".

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
        if self._precision not in DIRECT_TOLERANCE:
            raise BundleError(f"{bundle.path} computes in {self._precision[:40]!r}, which this edgebll does not know")

    def __getitem__(self, name: str) -> Array:
        if name not in self._tensors:
            raise BundleError(f"{self._where} has no tensor {name!r}; export the bundle again")
        return self._tensors[name]

    def row(self, name: str, actual: Array) -> GoldenRow:
        """Compare."""
        expected = self[name]
        if actual.shape != expected.shape or actual.dtype != expected.dtype:
            raise BundleError(
                f"{self._where}: {name!r} must be {actual.dtype.name}{list(actual.shape)}, "
                f"but is {expected.dtype.name}{list(expected.shape)}; export the bundle again"
            )
        return GoldenRow(name, *_errors(actual, expected), self._precision)


def _rows(block: BlockRuntime, golden: _Golden, num_steps: int) -> Iterator[GoldenRow]:
    spec = block.spec
    for step in range(num_steps):
        scalars = {name: _number(golden, f"{step}/{name}") for name in spec.scalars}
        received = {tensor.name: golden[f"{step}/{tensor.name}"] for tensor in spec.received}
        a, metrics, sent = block.train(golden[f"{step}/x"], golden[f"{step}/y"], scalars, received)
        yield golden.row(f"{step}/a", a)
        yield golden.row(f"{step}/metrics", _vector(spec, metrics))
        for name, value in sent.items():
            yield golden.row(f"{step}/{name}", value)
    for name, value in block.state().items():
        yield golden.row(f"final/{name}", value)
    block.load_state({tensor.name: golden[f"final/{tensor.name}"] for tensor in spec.state})
    yield golden.row("forward/a", block.evaluate(golden["forward/x"]))
    if spec.beta is not None:
        yield golden.row("feedback/beta", block.feedback(golden["feedback/y"]))


def _number(golden: _Golden, name: str) -> float:
    value = golden[name]
    if value.size != 1:
        raise BundleError(f"the golden scalar {name!r} has {value.size} entries; export the bundle again")
    return float(value.reshape(())[()])


def _vector(spec: BlockSpec, metrics: Mapping[str, float]) -> Array:
    return np.array([metrics[name] for name in spec.metrics], np.float32)


def _errors(actual: Array, expected: Array) -> tuple[float, float]:
    wide_actual, wide_expected = actual.astype(np.float64), expected.astype(np.float64)
    if not (np.isfinite(wide_actual).all() and np.isfinite(wide_expected).all()):
        return float("inf"), float("inf")
    absolute = float(np.abs(wide_actual - wide_expected).max(initial=0.0))
    scale = float(np.abs(wide_expected).max(initial=0.0))
    return absolute, absolute / scale if scale > 0 else absolute
