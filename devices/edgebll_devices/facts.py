"""What a board says about itself in its Welcome."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import uuid
from pathlib import Path

from edgebll import __version__
from edgebll.files import write_json
from edgebll.limits import own_bytes, read_memory, usable_cores, usable_processors
from edgebll.wire import PROTOCOL_VERSION, Welcome

_IDENTITY_CHARS = len(uuid.uuid4().hex)


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


def identity(state_dir: Path, name: str) -> str:
    """Who the board of this name is, by its state folder: made up when it first serves there, the same ever after.

    Raises:
        StorageError: it cannot be kept.
    """
    path = state_dir / "identities" / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"
    try:
        kept = json.loads(path.read_bytes())["identity"]
        if isinstance(kept, str) and len(kept) == _IDENTITY_CHARS:
            return kept
    except (OSError, ValueError, KeyError, TypeError):
        pass  # the first time, or damaged
    made = uuid.uuid4().hex
    write_json(path, {"name": name, "identity": made})
    return made
