"""The GPU that networks may be trained on."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from edgebll.cli.health_check import NOTE, OK, Check, guarded


def gpu() -> Iterator[Check]:
    """Whether PyTorch sees one; nothing without PyTorch."""
    try:
        there = find_spec("torch") is not None
    except ValueError:  # it has been barred
        there = False
    if there:
        yield guarded("gpu for training", _torch_sees)


def _torch_sees() -> Check:
    from edgebll.learning.training.gpu_info import describe_gpu, driver_version
    from edgebll.learning.training.torch_device import why_no_gpu

    topic, found = "gpu for training", describe_gpu()
    if found:
        return Check(topic, OK, found)
    if driver_version():
        advice = "install a PyTorch for the driver's CUDA, see https://pytorch.org/get-started/locally"
        return Check(topic, NOTE, f"NVIDIA's driver {driver_version()} is there, but {why_no_gpu()}", advice)
    return Check(topic, NOTE, why_no_gpu(), "only tables at full scale want one")
