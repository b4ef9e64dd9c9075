"""Own data as a user would have them: folders of images and the like, small, and the same every time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

COUNTS = {"cat": 12, "dog": 8, "owl": 20}


def pixels(seed: int, height: int = 16, width: int = 16, channels: int = 3) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Random pixels (height, width, channels), or (height, width) for one channel."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_images(
    folder: Path, counts: Mapping[str, int] = COUNTS, height: int = 16, width: int = 16, channels: int = 3
) -> Path:
    """A folder of PNG files, a subfolder a class; each class is lighter than the one before, so that it can be learnt."""
    for label, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            light = pixels(1000 * label + index, height, width, channels) // 4 + np.uint8(60 * label)
            Image.fromarray(light).save(folder / name / f"{index:03d}.png")
    return folder
