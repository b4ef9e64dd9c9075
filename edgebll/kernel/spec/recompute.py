"""How much a microcontroller computes again in the place of keeping it: what people choose, and what a manifest records.

A manifest says it for each block as a number of activations, so that whoever plans the block, agent or host, does it alike.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from edgebll.kernel.errors import BundleError
from edgebll.kernel.support.bounds import WrongValue

#: As little as fits, nothing, and all that makes the memory smaller.
AUTO, NONE, ALL = "auto", "none", "all"
_CHOICES = (AUTO, NONE, ALL)


def check_choice(choice: str) -> None:
    """Raise WrongValue unless it is one of the three."""
    if choice not in _CHOICES:
        raise WrongValue("recompute", f"must be one of {', '.join(_CHOICES)}, not {choice!r}")


def check_recompute(recompute: Mapping[str, int], blocks: Collection[str]) -> None:
    """Check what a manifest records.

    Args:
        recompute: block -> number of activations.
        blocks: names of the bundle's.

    Raises:
        BundleError: a block that is not there, or a number below 0.
    """
    for block, count in recompute.items():
        if block not in blocks or count < 0:
            told = f"not {block[:64]!r} and {count}"
            raise BundleError(f"recompute names a block of the bundle and a number of 0 or more, {told}")
