"""What a board says about itself in its Welcome."""

from __future__ import annotations

import os
import platform

from edgebll import __version__
from edgebll.limits import own_bytes, read_memory, usable_cores, usable_processors
from edgebll.wire import PROTOCOL_VERSION, Welcome


def make_welcome(name: str, data_endpoint: str, identity: str = "", idle_bytes: int | None = None) -> Welcome:
    """Describe this machine: usable processors, memory (bytes), runtimes, interpreter.

    Args:
        name, data_endpoint, identity: of the board. idle_bytes: memory this process had taken itself before it hosted any
            blocks; what it has taken since is there for the next ones. None if it has hosted none.
    """
    from edgebll_devices.runtimes import available_runtimes

    memory = read_memory()
    for_blocks = 0 if idle_bytes is None else max(0, own_bytes() - idle_bytes)
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
        identity=identity,
        memory_limit_bytes=memory.limit_bytes,
        memory_limited_by=memory.limited_by,
        memory_free_bytes=memory.free_bytes + for_blocks,
        memory_pool=memory.pool,
        cpus=usable_processors(),
    )
