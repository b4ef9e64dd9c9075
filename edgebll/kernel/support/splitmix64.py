"""SplitMix64 (Steele, Lea and Flood 2014): 64-bit numbers from counters, the same with every release of every library."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]


def hashed(counters: Words) -> Words:
    """The generator's outputs at `counters` (any shape, at least one axis), each of which looks random."""
    z = (counters + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
