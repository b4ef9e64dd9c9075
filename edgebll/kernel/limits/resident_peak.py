"""How much memory this process holds at most while it does something, by Linux's own account."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

_PROCESS = Path("/proc/self")


class ResidentPeak:
    """How far this process's resident set rises (Linux)."""

    def __init__(self) -> None:
        self._before = 0

    def reset(self) -> None:
        """Count from here."""
        with contextlib.suppress(OSError):  # where /proc cannot be written, the highest so far counts
            (_PROCESS / "clear_refs").write_text("5", "ascii")  # the highest resident set becomes the present one
        self._before = _status("VmRSS")

    def peak(self) -> int:
        """Bytes of the highest since `reset`, above where it stood then."""
        return max(0, _status("VmHWM") - self._before)


def _status(name: str) -> int:
    """Bytes of an entry of /proc/self/status."""
    text = (_PROCESS / "status").read_text("ascii")
    return int(re.findall(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)[0]) << 10
