"""What `edgebll doctor` looks at: each check says how things are and, where something is wrong, what to do."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import edgebll
from edgebll.cli.data import dataset_places
from edgebll.cli.machine import existing_parent, memory_bytes, usable_cores

OK, NOTE, PROBLEM = "ok", "note", "problem"
_MIN_FREE_BYTES = 1 << 30
_MIN_MEMORY_BYTES = 1 << 30
_LOOPBACK_DEADLINE_S = 5.0

#: Role -> distributions it needs: (distribution, module, extra). Boards and hosts need the base packages only.
BASE = (
    ("numpy", "numpy", ""),
    ("onnxruntime", "onnxruntime", ""),
    ("pyzmq", "zmq", ""),
    ("msgpack", "msgpack", ""),
    ("safetensors", "safetensors", ""),
    ("cobs", "cobs", ""),
)
OPTIONAL = (
    ("torch", "torch", "train"),
    ("onnx", "onnx", "export"),
    ("scikit-learn", "sklearn", "data"),
    ("matplotlib", "matplotlib", "plot"),
)
#: What a machine may be asked to do, and the packages beyond the base it needs for it.
ROLES = {"board": (), "host": (), "train": ("torch",), "export": ("torch", "onnx")}


@dataclass(frozen=True)
class Check:
    """Result of one check.

    Attributes:
        topic: what was looked at. status: OK, NOTE (something optional is missing) or PROBLEM.
        found: how things are. advice: what to do, empty if nothing.
    """

    topic: str
    status: str
    found: str
    advice: str = ""


def run_checks(role: str, data_dir: Path | None, folder: Path) -> list[Check]:
    """All checks for a machine that is to be a `role`, with runs written below `folder`."""
    checks = [_python(), _machine(), Check("edgebll", OK, f"{edgebll.__version__} in {Path(edgebll.__file__).parent}")]
    checks += [_package(*entry, needed=True) for entry in BASE]
    checks += [_package(*entry, needed=entry[0] in ROLES[role]) for entry in OPTIONAL]
    checks += [_guarded("runtimes", _runtimes), _guarded("loopback", _loopback), _guarded("disk", lambda: _disk(folder))]
    checks += _data_sets(data_dir)
    return checks


def _guarded(topic: str, check: Callable[[], Check]) -> Check:
    """A check that must not end the others, whatever it meets."""
    try:
        return check()
    except Exception as error:  # a broken installation may raise anything at all
        return Check(
            topic, PROBLEM, f"{type(error).__name__}: {error}", "reinstall edgebll: pip install --force-reinstall edgebll"
        )


def _python() -> Check:
    found = f"{platform.python_implementation()} {platform.python_version()} in {sys.prefix}"
    return Check("python", OK, found)


def _machine() -> Check:
    memory = memory_bytes()
    size = f"{memory / 2**30:.1f} GiB of memory" if memory else "unknown memory"
    found = f"{platform.system()} {platform.machine()}, {usable_cores()} usable cores, {size}"
    if memory and memory < _MIN_MEMORY_BYTES:
        return Check("machine", NOTE, found, "use small networks and batches: less than 1 GiB of memory is little")
    return Check("machine", OK, found)


def _package(distribution: str, module: str, extra: str, needed: bool) -> Check:
    target = f"edgebll[{extra}]" if extra else "edgebll"
    install = f"pip install '{target}'"
    try:
        importlib.import_module(module)
        return Check(distribution, OK, metadata.version(distribution))
    except metadata.PackageNotFoundError:
        return Check(distribution, OK, "installed, version unknown")
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError)
        found = "not installed" if missing else f"does not load: {error}"
        return Check(distribution, PROBLEM if needed or not missing else NOTE, found, install)
    except Exception as error:  # e.g. a package built for another numpy
        return Check(distribution, PROBLEM, f"does not load: {type(error).__name__}: {error}", f"{install} --force-reinstall")


def _runtimes() -> Check:
    from edgebll_devices.runtimes import available_runtimes

    names = available_runtimes()
    if not names:
        return Check("runtimes", PROBLEM, "none usable", "pip install onnxruntime")
    return Check("runtimes", OK, ", ".join(names))


def _loopback() -> Check:
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


def _disk(folder: Path) -> Check:
    place = existing_parent(folder)
    free = shutil.disk_usage(place).free
    found = f"{free / 2**30:.1f} GiB free in {place}"
    if not os.access(place, os.W_OK):
        return Check("disk", PROBLEM, f"{place} cannot be written", "go to a folder of your own, or give another with --folder")
    if free < _MIN_FREE_BYTES:
        return Check("disk", PROBLEM, found, "free some space: runs need up to 1 GiB")
    return Check("disk", OK, found)


def _data_sets(data_dir: Path | None) -> Iterator[Check]:
    for row in dataset_places(data_dir):
        if row["found"]:
            yield Check(f"data {row['name']}", OK, row["where"])
        else:
            yield Check(f"data {row['name']}", NOTE, "not found", row["where"])
