"""The machine figures were measured on, in words."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path


def machine(gpu: str = "") -> str:
    """Processor, how many of them, the GPU if one was used, and the system."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = re.findall(r"^model name\s*:\s*(.+)$", cpuinfo.read_text("utf-8"), re.MULTILINE)
        model = names[0] if names else model
    parts = [model, f"{os.cpu_count()} logical processors", *([f"GPU {gpu}"] if gpu else [])]
    return ", ".join([*parts, platform.system(), f"Python {platform.python_version()}"])
