"""Python packages and the runtimes they make usable."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from importlib import metadata

from edgebll.cli.health_check import NOTE, OK, PROBLEM, Check

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


def installed(role: str) -> Iterator[Check]:
    """The packages everyone needs, and those some roles need."""
    yield from (_package(*entry, needed=True) for entry in BASE)
    yield from (_package(*entry, needed=entry[0] in ROLES[role]) for entry in OPTIONAL)


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


def runtimes() -> Check:
    """What can compute blocks here."""
    from edgebll.kernel.execution.runtime_table import available_runtimes

    names = available_runtimes()
    if not names:
        return Check("runtimes", PROBLEM, "none usable", "pip install onnxruntime")
    return Check("runtimes", OK, ", ".join(names))
