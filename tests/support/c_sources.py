"""What every C source of ours promises: short files, lines that fit, and nothing that cppcheck finds."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from support.microcontroller_tools import CPPCHECK, VARIABLE

_FLAGS = ("--enable=warning,performance,portability", "--max-configs=64", "--std=c99", "--error-exitcode=1", "--quiet")
_MOST_LINES, _LONGEST_LINE = 250, 160


def check_layout(sources: Iterable[Path]) -> None:
    """No file is long, and no line of one."""
    for source in sources:
        lines = source.read_text().splitlines()
        assert len(lines) <= _MOST_LINES, source
        assert max(map(len, lines)) <= _LONGEST_LINE, source


def check_by_cppcheck(*arguments: str | Path) -> None:
    """cppcheck finds nothing; without it the test is skipped, and fails in continuous integration.

    Args:
        arguments: files, folders and more flags.
    """
    tool = shutil.which(CPPCHECK)
    if tool is None and os.environ.get(VARIABLE) != "required":
        pytest.skip(f"no cppcheck here: apt-get install {CPPCHECK}")
    assert tool is not None, f"no cppcheck here: apt-get install {CPPCHECK}"
    done = subprocess.run([tool, *_FLAGS, *map(str, arguments)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
