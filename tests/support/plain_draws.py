"""SplitMix64 (Steele, Lea and Flood 2014) in Python's own numbers, and what event data draw from it."""

from __future__ import annotations

_MASK = 2**64 - 1


def splitmix(word: int) -> int:
    """The generator's output at a counter."""
    z = (word + 1) * 0x9E3779B97F4A7C15 & _MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _MASK
    return z ^ z >> 31


def drawn(keys: tuple[int, ...], index: int, place: int) -> int:
    """The 16 bits at a place of a sample's stream."""
    word = 0
    for key in keys:
        word = splitmix(word + key & _MASK)
    word = splitmix(word + index & _MASK)
    return splitmix(word + place // 4 & _MASK) >> 16 * (place % 4) & 0xFFFF
