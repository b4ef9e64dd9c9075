"""Random numbers by their place: the same for a seed, a split and a sample on every machine, in any order of asking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Ints
from edgebll.kernel.support.splitmix64 import Words, hashed

#: Numbers of 16 bits in a word of the generator.
_LANES = 4


def sample_words(keys: Sequence[int], indices: Ints) -> Words:
    """A word for each sample, from which its numbers are drawn.

    Args:
        keys: whole numbers that tell streams apart, e.g. seed and split.
        indices: of the samples, int64 (B,).

    Returns:
        uint64 (B,).
    """
    word = np.zeros(1, np.uint64)
    for key in keys:
        word = hashed(word + np.uint64(key))
    return hashed(word + indices.astype(np.uint64))


def draws(words: Words, count: int) -> npt.NDArray[np.uint16]:
    """Numbers of 16 bits for each sample.

    Args:
        words: of the samples, uint64 (B,).
        count: how many for each.

    Returns:
        uint16 (B, count): the k-th is bits 16 (k mod 4) and on of the generator's output k // 4 behind the sample's word.
    """
    counters = words[:, None] + np.arange(-(-count // _LANES)).astype(np.uint64)
    return hashed(counters).astype("<u8", copy=False).view("<u2")[:, :count]
