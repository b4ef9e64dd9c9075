"""How many descriptors this process may have open."""

from __future__ import annotations

import contextlib
import resource

#: Enough for the connections that strangers may open before they are cut (transport/gate.py), and for all else beside.
_WANTED = 8192


def raise_descriptor_limit() -> int:
    """Raise this process's own limit as far as it is needed and allowed; returns what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
