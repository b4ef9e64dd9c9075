"""What a board says about itself in its Welcome."""

from __future__ import annotations

import os
import platform

from edgebll import __version__
from edgebll.wire import PROTOCOL_VERSION, Welcome


def make_welcome(name: str, data_endpoint: str) -> Welcome:
    """Describe this machine: usable processors, physical memory (bytes), runtimes, interpreter."""
    from edgebll_devices.runtimes import available_runtimes

    return Welcome(
        name=name,
        protocol=PROTOCOL_VERSION,
        version=__version__,
        data_endpoint=data_endpoint,
        cores=usable_cores(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        runtimes=available_runtimes(),
        python=platform.python_version(),
        platform=platform.machine(),
    )


def usable_cores() -> int:
    """Processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
