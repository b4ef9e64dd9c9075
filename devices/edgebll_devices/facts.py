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
from edgebll.wire import PROTOCOL_VERSION, Welcome

_IDENTITY_CHARS = len(uuid.uuid4().hex)


def make_welcome(name: str, data_endpoint: str, identity: str = "") -> Welcome:
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
        identity=identity,
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


def usable_cores() -> int:
    """Processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
