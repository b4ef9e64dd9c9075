"""What networks learn on microcontrollers: digits over emulated boards, and Fashion-MNIST at 14 x 14 against ONNX Runtime.

    OMP_NUM_THREADS=1 python bench/microcontroller_learning.py [--parts digits fashion] [--emulate mps2-an386]
                                                               (make learn-mcu; half an hour)

The digits learn on emulated boards, and the state is compared bit for bit with the ordered reference's. Fashion-MNIST takes too
long for an emulator: there the firmware is a process of this machine (the board "host"), whose bits are an emulated board's
(tests/conformance/test_emulated_microcontrollers.py). Images are averaged over 2 x 2 pixels; the data set comes from Debian's
package dataset-fashion-mnist, or is looked for where EDGEBLL_DATA says. Results go to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from commands import accuracy, edgebll
from results import machine, table, write_section

from edgebll.data.data_folders import SYSTEM_DIR
from edgebll.data.fashion_mnist import FILES, find_file
from edgebll.data.idx import read_idx
from edgebll_devices.microcontroller.firmware_boards import board_names

DIGITS_GOAL, FASHION_GOAL = 97.0, 0.3
DIGITS = ("--network", "mlp", "--network-option", "width=32", "--network-option", "depth=3", "--blocks", "3")
FASHION = ("--network", "resnet8", "--network-option", "width=4", "--split", "stages", "--blocks", "3")


@dataclass(frozen=True)
class Learned:
    """A finished run.

    Attributes:
        where: what computed the blocks.
        accuracy: on test samples, in percent.
        state: the first sixteen digits of the states' digest.
    """

    where: str
    accuracy: float
    state: str


def exported(out: Path, data: object, network: tuple[str, ...], batch_size: int) -> Path:
    """A bundle with a network's first weights for microcontrollers.

    Args:
        out: folder for it.
        data: name or path of the data.
        network: options that say which network.
        batch_size: of the steps.
    """
    options = ("--rule", "bll", "--epochs", 1, "--limit", 64, "--batch-size", batch_size, "--seed", 0)
    edgebll("train", "--data", data, *network, *options, "--out", out / "recipe", "--overwrite")
    target = ("--state", "initial", "--batch-size", batch_size, "--target", "microcontroller")
    edgebll("export", out / "recipe", *target, "--out", out / "bundle")
    return out / "bundle"


def run(where: str, bundle: Path, out: Path, *options: object) -> Learned:
    """Train a bundle.

    Args:
        where: what computes the blocks, for the table.
        bundle: what to train.
        out: folder for the run.
        options: of `edgebll simulate`.
    """
    edgebll("simulate", bundle, *options, "--out", out, "--overwrite")
    summary = json.loads((out / "summary.json").read_text())
    found = Learned(where, accuracy(out), summary["state_sha256"][:16])
    print(f"{where}: {found.accuracy:.2f} %, state {found.state}", flush=True)
    return found


def digits(out: Path, board: str) -> list[Learned]:
    """Three blocks, each on a microcontroller of its own; in one process, by the reference; and on ONNX Runtime."""
    bundle, learning = exported(out, "digits", DIGITS, 8), ("--lr", 0.15, "--epochs", 8)
    chips = ("--boards", 3, "--microcontrollers", 3, "--emulate", board)
    return [
        run("ONNX Runtime", bundle, out / "onnxruntime", *learning, "--boards", 0),
        run("ordered reference", bundle, out / "ordered", *learning, "--boards", 0, "--runtime", "ordered"),
        run(f"emulated {board}", bundle, out / "emulated", *learning, *chips),
    ]


def small_images(folder: Path, path: Path, limit: int) -> None:
    """Fashion-MNIST at 14 x 14 as one file of numpy.

    Args:
        folder: with the data set's files.
        path: to write.
        limit: training samples, the first ones.
    """
    arrays: dict[str, Any] = {}
    for split, names in FILES.items():
        for kind, file in zip("xy", names, strict=True):
            found = find_file(folder, file.name)
            if found is None:
                sys.exit(f"{folder} has no {file.name}; install it: sudo apt-get install dataset-fashion-mnist")
            arrays[f"{kind}_{split}"] = read_idx(found)
    for split in FILES:
        images = arrays[f"x_{split}"]
        quarters = images.reshape(len(images), 14, 2, 14, 2).mean((2, 4))
        arrays[f"x_{split}"] = quarters.round().astype(np.uint8)
    arrays["x_train"], arrays["y_train"] = arrays["x_train"][:limit], arrays["y_train"][:limit]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)


def fashion(out: Path, folder: Path, limit: int, epochs: int) -> list[Learned]:
    """ResNet-8 of 4 channels: on ONNX Runtime, and on the firmware as a process of this machine."""
    small_images(folder, out / "fashion14.npz", limit)
    bundle, learning = exported(out, out / "fashion14.npz", FASHION, 16), ("--epochs", epochs)
    chips = ("--boards", 1, "--microcontrollers", 1, "--emulate", "host")
    return [
        run("ONNX Runtime", bundle, out / "onnxruntime", *learning, "--boards", 0),
        run("firmware as a process", bundle, out / "firmware", *learning, *chips),
    ]


def report(title: str, goal: str, found: list[Learned]) -> str:
    """One part of the section."""
    rows = [(each.where, each.state, f"{each.accuracy:.2f}") for each in found]
    return f"{title}\n\n{table(('computed by', 'state', 'test accuracy, %'), rows)}\n\n{goal}"


def main() -> int:
    """Train and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=("digits", "fashion"), default=("digits", "fashion"))
    parser.add_argument("--emulate", choices=board_names(), default="mps2-an386", help="the board of the digits")
    parser.add_argument("--data", type=Path, default=SYSTEM_DIR / "fashion-mnist", help="folder of Fashion-MNIST")
    parser.add_argument("--limit", type=int, default=6_000, help="training images of Fashion-MNIST")
    parser.add_argument("--epochs", type=int, default=3, help="over these")
    parser.add_argument("--out", type=Path, default=Path("build/microcontroller-learning"), help="folder for runs")
    options = parser.parse_args()
    failed, out = False, options.out.absolute()
    if "digits" in options.parts:
        found = digits(out / "digits", options.emulate)
        met = found[-1].accuracy >= DIGITS_GOAL and found[-1].state == found[-2].state
        failed |= not met
        title = "Digits of 8 x 8, 1,437 for training, 360 for testing; MLP 64-32-32-32-10 in three blocks, BLL, "
        title += "batches of 8, 8 epochs:"
        goal = f"Goal, {DIGITS_GOAL:.0f} % on microcontrollers, and the reference's state: {'met' if met else 'not met'}."
        write_section("microcontroller-digits", f"### Learning on microcontrollers: digits\n\n{report(title, goal, found)}")
    if "fashion" in options.parts:
        found = fashion(out / "fashion", options.data, options.limit, options.epochs)
        behind = found[0].accuracy - found[-1].accuracy
        failed |= behind > FASHION_GOAL
        title = f"Fashion-MNIST averaged to 14 x 14, the first {options.limit:,} images for training, all 10,000 for testing, "
        title += f"ResNet-8 of 4 channels in three blocks, BLL, batches of 16, {options.epochs} epochs; {machine()}:"
        goal = f"Goal, at most {FASHION_GOAL} points behind ONNX Runtime: {behind:.2f}, {'met' if not failed else 'not met'}."
        write_section("microcontroller-fashion", f"### Learning on microcontrollers: images\n\n{report(title, goal, found)}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
