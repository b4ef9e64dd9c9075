"""Which samples are for training and which are held out for evaluation: a pure function of the labels and a seed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Ints

#: Of each sample: whether the data themselves say what it is for; LEFT_OUT is one that cannot be read.
UNDECIDED, TRAIN, TEST, LEFT_OUT = 0, 1, 2, 3
#: Names of folders and files that say so.
PART_NAMES = {"train": TRAIN, "training": TRAIN, "test": TEST, "val": TEST, "valid": TEST, "validation": TEST}


def decide(parts: npt.NDArray[np.int8], labels: Ints, part: float, seed: int) -> npt.NDArray[np.int8]:
    """Decide what is undecided: of every class the same part is held out, at least one sample where there are two.

    Args:
        parts: of each sample UNDECIDED, TRAIN, TEST or LEFT_OUT (N,).
        labels: a class of each sample, int64 (N,).
        part: of each class that is held out, 0 to 1.
        seed: decides which.

    Returns:
        TRAIN, TEST or LEFT_OUT of each sample (N,).
    """
    result = np.where(parts == UNDECIDED, np.int8(TRAIN), parts)
    for label in np.unique(labels):
        places = np.flatnonzero((labels == label) & (parts == UNDECIDED))
        count = round(part * len(places))
        if 0 < part < 1 and len(places) > 1:
            count = min(max(count, 1), len(places) - 1)
        result[np.random.RandomState([seed, int(label)]).permutation(places)[:count]] = TEST
    return result


def shuffled_rows(chosen: npt.NDArray[np.bool_], seed: int) -> Ints:
    """The places where `chosen` (N,) holds, in a seeded order: the first so many of them are then a fair choice."""
    return np.random.RandomState([seed, len(chosen)]).permutation(np.flatnonzero(chosen)).astype(np.int64)
