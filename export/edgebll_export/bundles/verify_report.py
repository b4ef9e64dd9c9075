"""`edgebll verify` as a function: does a bundle compute what PyTorch does?"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edgebll.data.example_samples import training_samples
from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.errors import VerifyError
from edgebll.kernel.runs.listener import Listener, as_listener
from edgebll.kernel.runs.run_events import EventCallback
from edgebll.kernel.spec.side_inputs import of_a_sample
from edgebll.kernel.support.bounds import COUNT, Bounds
from edgebll.learning.networks import BlockNetwork
from edgebll_export.bundles.block_check import VerifyRow
from edgebll_export.bundles.verify import default_tolerance, verify_bundle

_TOLERANCE = Bounds("", 0.0, above=True)


@dataclass(frozen=True)
class VerifyReport:
    """Largest errors of all outputs of a bundle's graphs.

    Attributes:
        path: the bundle.
        steps: consecutive training steps that were compared.
        tolerance: largest relative error that is allowed.
        rows: the worst errors of every output, by block, graph and output.
    """

    path: Path
    steps: int
    tolerance: float
    rows: tuple[VerifyRow, ...]

    @property
    def failed(self) -> tuple[VerifyRow, ...]:
        """The rows beyond the tolerance."""
        return tuple(row for row in self.rows if row.failed)

    def check(self) -> None:
        """Refuse a bundle with outputs beyond the tolerance.

        Raises:
            VerifyError: there are some; names the worst.
        """
        if not self.failed:
            return
        worst = max(self.failed, key=lambda row: row.max_rel_error)
        where = f"{worst.tensor} of {worst.block}/{worst.graph}.onnx ({worst.max_rel_error:.2g})"
        raise VerifyError(
            f"{len(self.failed)} of {len(self.rows)} outputs differ by more than {self.tolerance:g}, most of all {where}; "
            "do not use this bundle, export it again"
        )


def verify(
    bundle: str | os.PathLike[str],
    *,
    steps: int = 5,
    tolerance: float | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    network: BlockNetwork | None = None,
    progress: EventCallback | Listener | None = None,
) -> VerifyReport:
    """Compare every graph on ONNX Runtime with PyTorch over consecutive training steps.

    Inputs are samples of the data set that the network was trained on if it is here, else those of the golden vectors, else
    drawn from N(0, 1).

    Args:
        bundle: the bundle folder.
        steps: consecutive training steps to compare.
        tolerance: largest relative error of any output; by default 1e-4, and 5e-3 in mixed precision.
        data_dir: folder with the data set's files.
        network: the network that was exported, where it is not a shipped one.
        progress: takes events, see `edgebll.kernel.runs.run_events`.

    Returns:
        The worst errors of every output, all within the tolerance.

    Raises:
        VerifyError: an output differs by more, or ONNX Runtime refuses a graph.
        ConfigError: an option is wrong, or the network cannot be built again.
        BundleError: the bundle is broken.
        MissingExtraError: torch or onnx is not installed.

    Examples:
        >>> import edgebll
        >>> report = edgebll.verify("bundle", steps=2)
        >>> max(row.max_rel_error for row in report.rows) < report.tolerance
        True
    """
    report = compare(bundle, steps=steps, tolerance=tolerance, data_dir=data_dir, network=network, progress=progress)
    report.check()
    return report


def compare(
    bundle: str | os.PathLike[str],
    *,
    steps: int = 5,
    tolerance: float | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    network: BlockNetwork | None = None,
    progress: EventCallback | Listener | None = None,
) -> VerifyReport:
    """What `verify` does, with a report whatever comes of it; arguments and other errors are the same."""
    COUNT.check("steps", steps)
    if tolerance is not None:
        _TOLERANCE.check("tolerance", tolerance)
    path = Path(bundle)
    opened = open_bundle(path, verify=False)
    limit, manifest = tolerance or default_tolerance(opened), opened.manifest
    folder, tell = Path(data_dir) if data_dir is not None else None, as_listener(progress).noted
    data, options = manifest.recipe.get("data"), manifest.recipe.get("data_options")
    examples = training_samples(data, manifest.blocks[0].input, folder, tell, options, of_a_sample(manifest.blocks))
    found = verify_bundle(path, steps=steps, tolerance=limit, network=network, examples=examples)
    return VerifyReport(path, steps, limit, tuple(sorted(found, key=lambda row: (row.block, row.graph, row.tensor))))
