"""What a spiking network takes for a sample, for the summary of a run over boards, where PyTorch is there to count it."""

from __future__ import annotations

import importlib
from typing import Any

from edgebll.data.dataset import Dataset
from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import EdgebllError
from edgebll.kernel.limits import default_threads
from edgebll.kernel.spec.time_chunks import TIME_STEPS
from edgebll.kernel.support.optional_imports import import_torch

#: What counts: of (path, data set, threads, most samples) -> figures; it needs torch.
OPERATIONS = "edgebll.learning.operations.measured:measure_operations"
#: So many test samples are enough for means.
SAMPLES = 256


def operations_of_bundle(bundle: Bundle, test: Dataset) -> dict[str, dict[str, Any]]:
    """The entry "operations" of summary.json.

    Args:
        bundle: with the states that are counted.
        test: what was evaluated on, as the bundle takes it.

    Returns:
        Nothing for networks without time, for those whose code is a user's own, which hosts do not import, and where no samples
        are at hand.

    Raises:
        MissingExtraError: torch is not installed. EdgebllError: the network is another one in this release.
    """
    manifest = bundle.manifest
    if not manifest.recipe.get(TIME_STEPS) or "code" in manifest.network or test.arriving or not len(test):
        return {}
    import_torch("train", "counting synaptic operations")
    module, _, name = OPERATIONS.partition(":")
    count = getattr(importlib.import_module(module), name)
    return {"operations": count(bundle.path, test, default_threads(), SAMPLES)}


def not_counted(error: Exception) -> str:
    """The sentence for a summary without the figures.

    Args:
        error: why.
    """
    reason = str(error) if isinstance(error, EdgebllError) else f"{type(error).__name__}: {error}"
    return f"no operations in summary.json: {reason}"
