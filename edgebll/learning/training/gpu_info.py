"""The GPU of this machine, in words."""

from __future__ import annotations

import re
from pathlib import Path

import torch

#: Where NVIDIA's driver tells its version.
DRIVER = Path("/proc/driver/nvidia/version")


def describe_gpu() -> str:
    """Name and memory of the GPU that PyTorch computes on, and the versions of all between them; empty if there is none."""
    if not torch.cuda.is_available():
        return ""
    properties = torch.cuda.get_device_properties(0)
    parts = [f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"]
    driver, cudnn = driver_version(), torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    parts += [f"driver {driver}"] if driver else []
    parts += [f"CUDA {torch.version.cuda}"] if torch.version.cuda else []
    parts += [f"ROCm {torch.version.hip}"] if torch.version.hip else []
    parts += [f"cuDNN {cudnn}"] if cudnn else []
    return ", ".join(parts)


def driver_version(told: Path = DRIVER) -> str:
    """Version of NVIDIA's driver; empty where it does not tell."""
    try:
        found = re.search(r"Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)", told.read_text("utf-8", "replace"))
    except OSError:
        return ""
    return found[1] if found else ""
