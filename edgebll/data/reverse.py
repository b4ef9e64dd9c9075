"""The task `reverse`: give a random permutation of 0..9 back in reverse order.

The sequence task of the poster "Block-local learning" (S2S): a sample is a permutation, one-hot (10 positions, 10 symbols) or,
for networks that take whole numbers, its 10 tokens; the label of each position is the symbol that the reversed permutation has
there. Samples are drawn from all 10! permutations without repetition, so no test sample is ever trained on.
"""

from __future__ import annotations

import math

import numpy as np

from edgebll.data.dataset import Dataset, Ints

NAME = "reverse"
LENGTH = 10
_COUNTS = {"train": 50_000, "test": 10_000}
_SEED = 20260102


def load_reverse(split: str) -> Dataset:
    """The split "train" (50,000 permutations) or "test" (10,000), always the same ones."""
    ranks = np.random.RandomState(_SEED).permutation(math.factorial(LENGTH))
    start = 0 if split == "train" else _COUNTS["train"]
    symbols = permutations(ranks[start : start + _COUNTS[split]].astype(np.int64), LENGTH)
    return Dataset(NAME, symbols, np.ascontiguousarray(symbols[:, ::-1]), LENGTH, symbols=LENGTH)


def permutations(ranks: Ints, length: int) -> Ints:
    """The permutations of 0..length-1 whose numbers in lexicographic order are `ranks` (N,): int64 (N, length)."""
    left = np.tile(np.arange(length), (len(ranks), 1))
    result = np.empty((len(ranks), length), np.int64)
    for position in range(length):
        block = math.factorial(length - 1 - position)
        chosen, ranks = ranks // block, ranks % block
        result[:, position] = left[np.arange(len(ranks)), chosen]
        kept = np.arange(left.shape[1]) != chosen[:, None]
        left = left[kept].reshape(len(ranks), -1)
    return result
