"""Names of all runtimes, the default first: what computes blocks on boards. Boards say themselves which of them they have."""

from __future__ import annotations

from edgebll.kernel.errors import ConfigError

#: Computes on a microcontroller behind a serial line.
SERIAL = "serial"
#: Runtimes that run plans of blocks, each sum in the order the plan says: their bits are the same wherever they run.
IN_ORDER = ("ordered", SERIAL)
RUNTIMES = ("onnxruntime", "reference", "tensorrt", "onnxruntime-cuda", "onnxruntime-tensorrt", "ordered", SERIAL)


def check_runtime(name: str) -> str:
    """Return `name` if there is such a runtime.

    Raises:
        ConfigError: there is none.
    """
    if name not in RUNTIMES:
        raise ConfigError(f"the runtime must be one of {', '.join(RUNTIMES)}, not {name!r}")
    return name
