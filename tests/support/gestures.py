"""The example for microcontrollers: its bundle, its sources, and its samples taken by Python."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.microcontroller.ordered_block import OrderedBlock
from edgebll_devices.microcontroller.block_as_c import block_as_c
from support.c_runtime import ROOT, compiler

EXAMPLE = ROOT / "examples" / "microcontroller"
RATE = 0.01


@cache
def gestures_bundle() -> Bundle:
    """What make_bundle.py makes."""
    folder = Path(mkdtemp(prefix="edgebll-gestures-"))
    subprocess.run([sys.executable, str(EXAMPLE / "make_bundle.py")], cwd=folder, check=True, timeout=120)
    return open_bundle(folder / "bundle")


def sources(folder: Path, *names: str) -> list[Path]:
    """Sources of the example, with its block embedded in a folder.

    Args:
        folder: gets gestures.h and gestures.c.
        names: of the example's files besides learner.c and accelerometer.c.
    """
    block_as_c(gestures_bundle(), "block0", "gestures").write(folder)
    return [*(EXAMPLE / f"{name}.c" for name in ("accelerometer", "learner", *names)), folder / "gestures.c"]


@cache
def _accelerometer() -> Any:
    folder = Path(mkdtemp(prefix="edgebll-gestures-"))
    library = folder / "accelerometer.so"
    subprocess.run([compiler(), "-shared", "-fPIC", str(EXAMPLE / "accelerometer.c"), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


def sample(number: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A sample as the network takes it, and its gesture one-hot."""
    readings = (ctypes.c_int16 * 48)()
    gesture = _accelerometer().accelerometer_take(ctypes.c_uint32(number), readings)
    x = np.array(readings, np.float32).reshape(16, 3).T / np.float32(1000.0)
    return np.ascontiguousarray(x)[None], np.eye(4, dtype=np.float32)[gesture][None]


def trained_in_python(steps: int) -> tuple[OrderedBlock, int]:
    """The block after that many samples, and how many of the last 100 it guessed before it learned from them."""
    block, guesses = OrderedBlock(gestures_bundle(), "block0"), []
    for number in range(steps):
        x, y = sample(number)
        a, _, _ = block.train(x, y, {"lr": RATE})
        guesses.append(int(a.argmax()) == int(y.argmax()))
    return block, sum(guesses[-100:])


def fingerprint(state: bytes) -> int:
    """FNV-1a of 32 bits, as the example says it."""
    found = 2166136261
    for byte in state:
        found = (found ^ byte) * 16777619 % 2**32
    return found
