"""This machine in general: interpreter, memory, loopback, disk and data sets."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import edgebll
from edgebll.cli.health_check import NOTE, OK, PROBLEM, Check
from edgebll.cli.machine_facts import existing_parent
from edgebll.data.dataset_places import dataset_places
from edgebll.kernel.limits import read_memory, usable_processors

_MIN_FREE_BYTES = 1 << 30
_MIN_MEMORY_BYTES = 1 << 30
_LOOPBACK_DEADLINE_S = 5.0


def python() -> Check:
    """The interpreter."""
    found = f"{platform.python_implementation()} {platform.python_version()} in {sys.prefix}"
    return Check("python", OK, found)


def machine() -> Check:
    """Processors and memory, as far as this process may use them."""
    memory, processors = read_memory(), usable_processors()
    size = f"{memory.limit_bytes / 2**30:.1f} GiB of memory" if memory.limit_bytes else "unknown memory"
    size += f" by {memory.limited_by}" if memory.limited_by else ""
    found = f"{platform.system()} {platform.machine()}, {processors:g} usable cores, {size}"
    if memory.limit_bytes and memory.limit_bytes < _MIN_MEMORY_BYTES:
        return Check("machine", NOTE, found, "use small networks and batches: less than 1 GiB of memory is little")
    return Check("machine", OK, found)


def edgebll_itself() -> Check:
    """Which edgebll this is."""
    return Check("edgebll", OK, f"{edgebll.__version__} in {Path(edgebll.__file__).parent}")


def loopback() -> Check:
    """Send a few bytes through a TCP connection of this machine to itself, as boards on this machine would."""
    advice = "let programs of this machine connect to 127.0.0.1 (firewall, sandbox)"
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(_LOOPBACK_DEADLINE_S)
            with socket.create_connection(server.getsockname(), _LOOPBACK_DEADLINE_S) as client:
                peer, _ = server.accept()
                with peer:
                    peer.settimeout(_LOOPBACK_DEADLINE_S)
                    client.sendall(b"edgebll")
                    if peer.recv(7) == b"edgebll":
                        return Check("loopback", OK, "boards on this machine can be reached")
    except OSError as error:
        return Check("loopback", PROBLEM, f"127.0.0.1 cannot be reached ({error})", advice)
    return Check("loopback", PROBLEM, "127.0.0.1 changes what is sent", advice)


def disk(folder: Path) -> Check:
    """Room for runs."""
    place = existing_parent(folder)
    free = shutil.disk_usage(place).free
    found = f"{free / 2**30:.1f} GiB free in {place}"
    if not os.access(place, os.W_OK):
        return Check("disk", PROBLEM, f"{place} cannot be written", "go to a folder of your own, or give another with --folder")
    if free < _MIN_FREE_BYTES:
        return Check("disk", PROBLEM, found, "free some space: runs need up to 1 GiB")
    return Check("disk", OK, found)


def data_sets(data_dir: Path | None) -> Iterator[Check]:
    """The data sets, found or not."""
    for row in dataset_places(data_dir):
        if row["found"]:
            yield Check(f"data {row['name']}", OK, row["where"])
        else:
            yield Check(f"data {row['name']}", NOTE, "not found", row["where"])
