"""Loading batches of a folder of images beside the training steps that they feed: python bench/image_loading.py [--seconds S].

600 JPEGs of 640x480 in two classes are decoded once, as the first training on a folder does; then batches are made, augmented,
and trained on by one thread, in turn. Writes the section "image-loading" of bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from results import machine, table, write_section
from timing import medians

import edgebll
from edgebll.data import batch_order, training_batch
from edgebll.data.dataset import Dataset
from edgebll.data.registry import load_data
from edgebll.learning import make_steps

BATCH, IMAGES = 64, 600
#: Pixels a side, network.
CASES = ((32, "resnet8"), (64, "resnet8"), (64, "resnet18"))


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each case")
    seconds = parser.parse_args().seconds
    torch.set_num_threads(1)
    began, rows = time.perf_counter(), []
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["XDG_CACHE_HOME"] = scratch  # so that the first load decodes
        _draw(Path(scratch) / "photos")
        for side, network in CASES:
            first, train = _load(Path(scratch) / "photos", side)
            again, _ = _load(Path(scratch) / "photos", side)
            found = medians({"batch": _batches(train), "step": _steps(train, network)}, seconds)
            share = f"{100 * found['batch'] / found['step']:.1f} %"
            row = [f"{network}, {side} pixels", f"{first:.1f}", f"{again:.2f}", f"{1e3 * found['batch']:.2f}"]
            rows.append([*row, f"{1e3 * found['step']:.1f}", share])
            print(rows[-1], flush=True)
    conditions = (
        f"Conditions: {machine()}, one thread; {IMAGES} JPEGs of 640x480, batches of {BATCH}, augmentation standard, medians "
        f"taken in turn ({time.perf_counter() - began:.0f} s in all): `python bench/image_loading.py --seconds {seconds:g}`."
    )
    heads = ["trained", "first load, s", "later load, s", "a batch, ms", "its training steps, ms", "of a step"]
    title = "## Batches of a folder of images beside their training steps"
    write_section("image-loading", f"{title}\n\n{conditions}\n\n{table(heads, rows)}")


def _draw(folder: Path) -> None:
    ground = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    photo = Image.fromarray(ground).resize((640, 480), Image.Resampling.BICUBIC)
    for index in range(IMAGES):
        place = folder / "ab"[index % 2]
        place.mkdir(parents=True, exist_ok=True)
        photo.rotate(index % 360).save(place / f"{index}.jpg", quality=90)


def _load(folder: Path, side: int) -> tuple[float, Dataset]:
    began = time.perf_counter()
    train = load_data(str(folder), options={"size": side}).train
    return time.perf_counter() - began, train


def _batches(train: Dataset) -> Callable[[], object]:
    order = itertools.cycle(batch_order(len(train), BATCH, 0, 0))
    return lambda: training_batch(train, next(order), "standard", 0, 0)


def _steps(train: Dataset, name: str) -> Callable[[], object]:
    network = edgebll.make_network(name, num_blocks=4, num_classes=2, input_shape=train.input_shape, seed=0)
    steps = make_steps(network, edgebll.BLL(), edgebll.SGD(), BATCH)
    states = [step.initial_state() for step in steps]
    x, y = (torch.from_numpy(np.ascontiguousarray(part)) for part in training_batch(train, np.arange(BATCH), "none", 0, 0))
    scalars = {"lr": torch.tensor(0.01)}

    def run() -> None:
        given = x
        for step, state in zip(steps, states, strict=True):
            given = step(state, given, y, scalars).a

    return run


if __name__ == "__main__":
    main()
