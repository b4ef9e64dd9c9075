"""A closed terminal: the system sends SIGHUP, and the shell sends it once more."""

from __future__ import annotations

import subprocess
import sys

CATCH = """
import os, signal
from edgebll.cli.signals import HungUp, Terminated, catch_signals
catch_signals()
try:
    os.kill(os.getpid(), signal.SIGHUP)
except HungUp:
    os.kill(os.getpid(), signal.SIGHUP)
    print("ends in order")
try:
    os.kill(os.getpid(), signal.SIGTERM)
except Terminated:
    print("may be told to hurry")
"""


def test_the_second_one_disturbs_nobody_who_ends_in_order() -> None:
    result = subprocess.run([sys.executable, "-c", CATCH], capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout) == (0, "ends in order\nmay be told to hurry\n")
