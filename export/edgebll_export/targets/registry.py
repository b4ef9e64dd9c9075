"""Targets by name."""

from __future__ import annotations

from dataclasses import replace

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.bounds import THREADS
from edgebll_export.targets.microcontroller import MICROCONTROLLER, microcontroller
from edgebll_export.targets.target import ONNX, Target
from edgebll_export.targets.tensorrt import VERSIONS, tensorrt

TARGETS = ("onnx", *VERSIONS, MICROCONTROLLER)
MIN_OPSET, MAX_OPSET = 17, 23


def make_target(name: str = "onnx", opset: int | None = None, threads: int | None = None) -> Target:
    """The target of a name in TARGETS.

    Args:
        name: as in TARGETS.
        opset: for "onnx", a version from MIN_OPSET to MAX_OPSET; the other targets have their own.
        threads: for "onnx", how many threads of the processor compute a block, where that is known: some forms suit one, as
            `Target.scans`, others more, because ONNX Runtime computes several operators on one thread only.

    Raises:
        ConfigError: unknown name, an opset the target does not have, or threads that are none or another target's.

    Examples:
        >>> from edgebll_export import make_target
        >>> make_target("onnx", opset=18).opset
        18
    """
    if name not in TARGETS:
        raise ConfigError(f"the target must be one of {', '.join(TARGETS)}, not {name!r}")
    if threads is not None and name != "onnx":
        where = "on one core" if name == MICROCONTROLLER else "on a GPU"
        raise ConfigError(f"the target {name} computes {where}, so threads of a processor mean nothing; leave threads out")
    if threads is not None:
        THREADS.check("threads", threads)
    if name == "onnx":
        if opset is not None and not MIN_OPSET <= opset <= MAX_OPSET:
            raise ConfigError(f"the opset must lie between {MIN_OPSET} and {MAX_OPSET}, but is {opset}")
        return replace(ONNX, opset=opset or ONNX.opset, threads=threads, scans=threads == 1)
    target = microcontroller() if name == MICROCONTROLLER else tensorrt(name)
    if opset not in (None, target.opset):
        raise ConfigError(f"the target {name} has opset {target.opset}; leave the opset out or choose the target onnx")
    return target
