"""How many descriptors (open files and connections) this process may have."""

from __future__ import annotations

import contextlib
import resource

from edgebll.kernel.errors import ConfigError

#: Enough for the connections that strangers may open before they are cut (transport/gate.py), and for all else beside.
_WANTED = 8192


def raise_descriptor_limit(wanted: int = _WANTED) -> int:
    """Raise this process's own limit as far as it is needed and allowed; returns what it is now.

    Args:
        wanted: how many are needed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    aim = max(wanted, _WANTED)
    aim = aim if hard == resource.RLIM_INFINITY else min(aim, hard)
    if soft != resource.RLIM_INFINITY and soft < aim:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (aim, hard))
    now = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1 << 30 if now == resource.RLIM_INFINITY else now


def check_descriptors(needed: int, what: str) -> None:
    """Raise this process's limit, and refuse to begin what cannot come to its end with it.

    Args:
        needed: descriptors it takes in all.
        what: names it, e.g. "32 boards".

    Raises:
        ConfigError: this process may not have so many.
    """
    allowed = raise_descriptor_limit(needed)
    if allowed < needed:
        raise ConfigError(
            f"{what} need {needed} open files on this host, and it may have {allowed} (its hard limit); raise that with "
            f"ulimit -Hn {needed} as root, LimitNOFILE={needed} in a unit or --ulimit nofile={needed} of a container, or "
            "use fewer boards"
        )
