"""What stands above a sample in a picture."""

from __future__ import annotations

from edgebll.data.dataset import Dataset, Ints


def sample_titles(dataset: Dataset, rows: Ints) -> list[str]:
    """The label of each of some samples, where it is one number or class; else nothing.

    Args:
        dataset: of the samples.
        rows: which samples, int64 (N,).
    """
    if dataset.labels is None or dataset.labels.ndim != 1:
        return [""] * len(rows)
    return [f"{label}" for label in dataset.labels[rows]]
