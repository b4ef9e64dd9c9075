"""What fine-tuning a part of a network costs and gives, beside training all of it.

    python bench/fine_tuning.py [--seeds 3]

A network that knows the digits 0 to 4 learns 5 to 9 from 100 images, by block-local learning, on ONNX Runtime: all of it,
without its first two blocks, the last layer alone, or low-rank adapters and the last layer. Accuracies are means over seeds
of the first training. State is what boards keep twice and every snapshot carries. The time of a step is that of all blocks in
turn on images of 28 x 28 in batches of 32, as a part of that of training everything. The table goes to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from results import RESULTS, machine, table, write_section
from timing import medians

import edgebll
from edgebll.data import load_dataset
from edgebll.kernel.bundle import Bundle
from edgebll.learning.finetuning.tuning_options import tuning_of
from edgebll_devices.runtimes import BlockRuntime, load_block

TUNINGS: dict[str, dict[str, Any]] = {
    "everything": {},
    "without two blocks": {"freeze": ["block[01]"]},
    "adapters and last layer": {"adapter": "lora", "rank": 2, "trainable": "head"},
    "last layer": {"trainable": "head"},
}
BLOCKS, SHOTS, EPOCHS, BATCH, LR = 4, 100, 15, 20, 0.1
STEP_BATCH, STEP_IMAGE, BUDGET_S = 32, (1, 28, 28), 8.0


@dataclass(frozen=True)
class Outcome:
    """What one tuning comes to: accuracies in percent, bytes of all blocks' states, and the time of a step over that of all."""

    tuning: str
    accuracies: tuple[float, ...]
    state_bytes: int
    step: float


def write_halves(folder: Path) -> None:
    """The digits 0 to 4, all of them, and 5 to 9 with few training images."""
    for name, classes, most in (("old", range(5), None), ("new", range(5, 10), SHOTS)):
        found: dict[str, Any] = {}
        for split, limit in (("train", most), ("test", None)):
            digits = load_dataset("digits", split)
            chosen = np.flatnonzero(np.isin(digits.labels, list(classes)))[:limit]
            found[f"x_{split}"], found[f"y_{split}"] = digits.inputs(chosen), digits.labels[chosen] - min(classes)
        np.savez(folder / f"{name}.npz", **found)


def accuracies(folder: Path, seeds: int) -> dict[str, list[float]]:
    """Test accuracies of every tuning, in percent."""
    found: dict[str, list[float]] = {tuning: [] for tuning in TUNINGS}
    for seed in range(seeds):
        old = folder / f"old{seed}"
        how: dict[str, Any] = {"network": "resnet8", "blocks": BLOCKS, "batch_size": 32, "threads": 1}
        edgebll.train(old, data=str(folder / "old.npz"), epochs=5, seed=seed, optimizer_option={"clip_norm": 1}, **how)
        for tuning, options in TUNINGS.items():
            place = folder / f"{tuning.replace(' ', '-')}{seed}"
            bundle = edgebll.export(old, place / "bundle", batch_size=BATCH, **options)
            result = edgebll.simulate(
                bundle, place / "run", data=str(folder / "new.npz"), epochs=EPOCHS, lr=LR, boards=0, seed=seed
            )
            found[tuning].append(100 * float(result.accuracy or 0.0))
            print(f"seed {seed}, {tuning}: {found[tuning][-1]:.1f} %", flush=True)
    return found


def stepping(bundle: Bundle, blocks: Sequence[BlockRuntime]) -> Callable[[], None]:
    """One training step of all blocks, one after another."""
    random = np.random.default_rng(0)
    first = bundle.manifest.blocks[0]
    x = random.standard_normal(first.input.shape, np.float32)
    y = np.eye(first.labels.shape[1], dtype=np.float32)[random.integers(0, first.labels.shape[1], len(x))]

    def step() -> None:
        a = x
        for block in blocks:
            a = block.train(a, y, {"lr": 1e-3})[0]

    return step


def step_times(folder: Path) -> dict[str, float]:
    """Time of a step of every tuning over that of training everything."""
    with ExitStack() as stack:
        runs = {}
        for tuning, options in TUNINGS.items():
            network = edgebll.make_network("resnet8", num_blocks=BLOCKS, num_classes=5, input_shape=STEP_IMAGE, seed=0)
            path = folder / f"step-{tuning.replace(' ', '-')}"
            edgebll.export_bundle(
                network, rule=edgebll.BLL(), optimizer=edgebll.SGD(), batch_size=STEP_BATCH, path=path,
                fine_tuning=tuning_of(options),
            )  # fmt: skip
            bundle = edgebll.open_bundle(path)
            blocks = [stack.enter_context(load_block("onnxruntime", bundle, spec.name)) for spec in bundle.manifest.blocks]
            runs[tuning] = stepping(bundle, blocks)
        seconds = medians(runs, BUDGET_S * len(runs))
    return {tuning: value / seconds["everything"] for tuning, value in seconds.items()}


def measure(seeds: int) -> list[Outcome]:
    """All tunings."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_halves(folder)
        found, times = accuracies(folder, seeds), step_times(folder)
        sizes = {}
        for tuning in TUNINGS:
            manifest = edgebll.open_bundle(folder / f"{tuning.replace(' ', '-')}0" / "bundle").manifest
            sizes[tuning] = sum(block.state_bytes for block in manifest.blocks)
    return [Outcome(tuning, tuple(found[tuning]), sizes[tuning], times[tuning]) for tuning in TUNINGS]


def report(outcomes: Sequence[Outcome]) -> str:
    """The section of RESULTS.md."""
    whole = outcomes[0].state_bytes
    rows = [
        [
            one.tuning, f"{statistics.mean(one.accuracies):.1f}", f"{min(one.accuracies):.1f} to {max(one.accuracies):.1f}",
            f"{one.state_bytes / 1024:.1f}", f"{one.state_bytes / whole:.1%}", f"{one.step:.2f}",
        ]
        for one in outcomes
    ]  # fmt: skip
    header = ["what trains", "accuracy, %", "of seeds", "state, KiB", "of all", "step time"]
    conditions = (
        f"Conditions: {machine()}; ONNX Runtime {onnxruntime.__version__}, one thread. resnet8 in {BLOCKS} blocks, by "
        f"block-local learning; it knows the digits 0 to 4 and learns 5 to 9 from {SHOTS} images in {EPOCHS} epochs (batches "
        f"of {BATCH}, lr {LR}, gradients clipped at norm 1), {len(outcomes[0].accuracies)} seeds. Adapters are of rank 2. Step "
        f"time: all blocks, images of 28 x 28, batches of {STEP_BATCH}, over that of training everything."
    )
    return "\n\n".join(["## Fine-tuning a part of a network", conditions, table(header, rows)])


def main() -> None:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="first trainings")
    outcomes = measure(parser.parse_args().seeds)
    text = report(outcomes)
    print(text)
    write_section("fine-tuning", text, RESULTS)


if __name__ == "__main__":
    main()
