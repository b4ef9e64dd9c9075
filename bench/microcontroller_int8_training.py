"""Training with activations in int8 on a microcontroller beside float32: memory, instructions a step, and accuracy.

    OMP_NUM_THREADS=1 python bench/microcontroller_int8_training.py     (make bench-mcu-int8; five minutes)

Networks learn with either precision from three seeds. Each block's step is planned and runs on an emulated Cortex-M4F.
Results go to bench/RESULTS.md.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import fmean

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from commands import accuracy, edgebll
from microcontroller_learning import DIGITS, FASHION, small_images
from results import table, write_section
from support.microcontroller_tools import advice, missing_packages
from support.step_costs import block_cost, tools

from edgebll.data.data_folders import SYSTEM_DIR
from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.microcontroller import plan_block

IMAGES, SEEDS, PRECISIONS = 2_000, (0, 1, 2), ("float32", "int8")
HEADER = ("network", "activations in", "arena", "state", "instructions a sample", "test accuracy, %", "of each seed")
#: What it is called; options of training; whether it learns the images; epochs; samples of a step on the board.
CASES = (
    ("MLP 64-32-32-32-10, digits, BLL", (*DIGITS, "--rule", "bll"), False, 8, 2),
    ("ResNet-8 w4, Fashion-MNIST 14 x 14, BLL", (*FASHION, "--rule", "bll"), True, 3, 1),
)


def learned(out: Path, data: object, options: tuple[str, ...], epochs: int, precision: str) -> list[float]:
    """Test accuracies in percent, one a seed; the last run stays in `out`.

    Args:
        out: folder of the run.
        data: name or path of the data.
        options: that say which network, and the rule.
        epochs: of training.
        precision: of the steps.
    """
    found = []
    for seed in SEEDS:
        told = ("--epochs", epochs, "--batch-size", 16, "--lr", 0.05, "--seed", seed, "--precision", precision)
        edgebll("train", "--data", data, *options, *told, "--out", out, "--overwrite")
        found.append(accuracy(out))
    return found


def row(name: str, run: Path, precision: str, batch_size: int, accuracies: list[float]) -> tuple[str, ...]:
    """A line of the table.

    Args:
        name: of the network.
        run: a folder of a run.
        precision: it learned in.
        batch_size: of the board's steps.
        accuracies: of all seeds.
    """
    path = run.with_name(f"{run.name}-bundle")
    edgebll("export", run, "--batch-size", batch_size, "--target", "microcontroller", "--out", path)
    bundle = open_bundle(path)
    costs = [block_cost(bundle, plan_block(bundle, spec.name)) for spec in bundle.manifest.blocks]
    arena, state = max(cost.arena_bytes for cost in costs), sum(cost.state_bytes for cost in costs)
    numbers = (arena, state, sum(cost.instructions for cost in costs) // batch_size)
    each = ", ".join(f"{value:.1f}" for value in accuracies)
    return (name, precision, *(f"{number:,}" for number in numbers), f"{fmean(accuracies):.2f}", each)


def main() -> int:
    """Train, measure and write."""
    if missing := missing_packages():
        print(advice(missing), file=sys.stderr)
        return 1
    rows = []
    with tempfile.TemporaryDirectory(prefix="edgebll-int8-") as folder:
        out = Path(folder)
        small_images(SYSTEM_DIR / "fashion-mnist", out / "fashion14.npz", IMAGES)
        for number, (name, options, has_images, epochs, batch_size) in enumerate(CASES):
            for precision in PRECISIONS:
                run = out / f"{number}-{precision}"
                found = learned(run, out / "fashion14.npz" if has_images else "digits", options, epochs, precision)
                rows.append(row(name, run, precision, batch_size, found))
                print(*rows[-1], flush=True)
    text = (
        "### Training on a microcontroller with activations in int8\n\n"
        f"`make bench-mcu-int8`. Conditions: emulated Cortex-M4F, {tools()}, the exact firmware; a step takes a sample of the "
        "images, and two of the digits; all blocks on one board, the arena that of the block that needs most; bytes. Accuracy "
        "on test data after training in batches of 16 by the same step: the MLP for 8 epochs, the ResNet for 3 over "
        f"{IMAGES:,} images; mean of {len(SEEDS)} seeds. What is kept for the gradient is int8, all else float32.\n\n"
        f"{table(HEADER, rows)}"
    )
    write_section("microcontroller-int8-training", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
