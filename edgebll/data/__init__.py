"""Data sets and the order in which a run sees them. numpy only: the trainer and the host both use it."""

from __future__ import annotations

from edgebll.data.batches import batch_order, eval_batches
from edgebll.data.dataset import Dataset
from edgebll.data.registry import DATASETS, find_dataset, load_dataset

__all__ = ["DATASETS", "Dataset", "batch_order", "eval_batches", "find_dataset", "load_dataset"]
