"""Names of all runtimes, the default first: what computes blocks on boards. Boards say themselves which of them they have."""

from __future__ import annotations

from edgebll.kernel.errors import ConfigError

RUNTIMES = ("onnxruntime", "reference", "tensorrt", "onnxruntime-cuda", "onnxruntime-tensorrt", "ordered", "serial")


def check_runtime(name: str) -> str:
    """Return `name` if there is such a runtime.

    Raises:
        ConfigError: there is none.
    """
    if name not in RUNTIMES:
        raise ConfigError(f"the runtime must be one of {', '.join(RUNTIMES)}, not {name!r}")
    return name
