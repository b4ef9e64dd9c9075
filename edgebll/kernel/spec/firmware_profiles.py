"""Profiles of firmware for microcontrollers: what one of them computes with, for little flash, for known bits or for speed."""

from __future__ import annotations

from edgebll.kernel.errors import ConfigError

#: With the bits of the ordered reference: in little flash, and as is usual.
SMALL, EXACT = "small", "exact"
#: Sums in other orders and products not rounded by themselves: other bits, which depend on processor and compiler.
FAST = "fast"
#: In the order in which firmware numbers them, from 1 on.
PROFILES = (SMALL, EXACT, FAST)


def check_profile(name: str) -> str:
    """Return `name` if there is such a profile.

    Raises:
        ConfigError: there is none.
    """
    if name not in PROFILES:
        raise ConfigError(f"the profile must be one of {', '.join(PROFILES)}, not {name!r}")
    return name
