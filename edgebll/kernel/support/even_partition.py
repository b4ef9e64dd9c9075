"""Cutting a row of weighted things into contiguous parts, as evenly as they allow (layers into blocks, blocks onto boards)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from edgebll.kernel.errors import ConfigError


def partition(weights: Sequence[float], num_parts: int) -> list[range]:
    """Cut indices 0..n-1 into `num_parts` contiguous, non-empty ranges whose largest total weight is minimal.

    Among the cuts with the same largest total, the one with the smallest sum of squared totals is taken, and among those the
    one whose earlier parts are longer. Exact, by dynamic programming: O(n^2 num_parts).

    Raises:
        ConfigError: fewer things than parts, or num_parts < 1.

    Examples:
        >>> from edgebll.kernel.support.even_partition import partition
        >>> partition([4, 1, 1, 2], 2)
        [range(0, 1), range(1, 4)]
    """
    if not 1 <= num_parts <= len(weights):
        raise ConfigError(f"cannot cut {len(weights)} layers into {num_parts} parts; choose 1 to {len(weights)}")
    prefix = [0.0]
    for weight in weights:
        prefix.append(prefix[-1] + weight)

    @cache
    def best(start: int, parts: int) -> tuple[float, float, tuple[int, ...]]:
        if parts == 1:
            total = prefix[-1] - prefix[start]
            return total, total * total, (-len(weights),)
        options = []
        for end in range(start + 1, len(weights) - parts + 2):
            total = prefix[end] - prefix[start]
            largest, squares, ends = best(end, parts - 1)
            options.append((max(total, largest), total * total + squares, (-end, *ends)))
        return min(options)

    ends = [-end for end in best(0, num_parts)[2]]
    return [range(start, end) for start, end in zip([0, *ends], ends, strict=False)]
