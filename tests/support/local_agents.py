"""Agents that this process has started, for tests that end one in the middle of a run."""

from __future__ import annotations

import os
from pathlib import Path


def agents() -> dict[str, int]:
    """Process ids of this process's agents by name."""
    found: dict[str, int] = {}
    for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        if "--name" in words:
            found[words[words.index("--name") + 1]] = int(pid)
    return found
