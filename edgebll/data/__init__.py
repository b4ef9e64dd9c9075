"""Data sets and the order in which a run sees them. numpy only: the trainer and the host both use it."""

from __future__ import annotations

from edgebll.data.augment import AUGMENTATIONS, check_augmentation, training_batch
from edgebll.data.batches import batch_order, epoch_order, eval_batches
from edgebll.data.dataset import Dataset
from edgebll.data.loaded_data import LoadedData
from edgebll.data.named_data import DATASETS, find_dataset
from edgebll.data.own.live_source import LiveSource
from edgebll.data.registry import load_data, load_dataset

__all__ = [
    "AUGMENTATIONS",
    "DATASETS",
    "Dataset",
    "LiveSource",
    "LoadedData",
    "batch_order",
    "check_augmentation",
    "epoch_order",
    "eval_batches",
    "find_dataset",
    "load_data",
    "load_dataset",
    "training_batch",
]
