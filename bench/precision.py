"""What each precision costs in accuracy: resnet8 in four BLL blocks on Fashion-MNIST, through the command line.

    python bench/precision.py [--seeds 1] [--epochs 2] [--parallel 2]

Trained by PyTorch in float32, mixed (float16 with float32 master weights and loss scaling) and bfloat16; the mixed step graphs
trained on ONNX Runtime from the same initial weights; int8 forward graphs of the float32 weights, calibrated on 512 training
images. Processors without float16 arithmetic take ten times as long for mixed. The table goes to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from commands import accuracy, edgebll
from results import machine, table, write_section

RECIPE = ("--data", "fashion-mnist", "--network", "resnet8", "--blocks", 4, "--rule", "bll", "--batch-size", 64, "--threads", 1)
TRAINED = {
    "float32": "float32",
    "mixed": "mixed: float16, float32 master weights",
    "bfloat16": "bfloat16, float32 master weights",
}
EXPORTED = "mixed, step graphs on ONNX Runtime"
INT8 = "int8 forward pass of the float32 weights"


def train(folder: Path, precision: str, seed: int, epochs: int) -> float:
    """Train with PyTorch."""
    run = folder / f"{precision}{seed}"
    edgebll("train", *RECIPE, "--precision", precision, "--epochs", epochs, "--seed", seed, "--out", run)
    return accuracy(run)


def train_exported(folder: Path, seed: int, epochs: int) -> float:
    """Train the mixed graphs from the initial weights of the mixed run."""
    bundle, run = folder / f"initial{seed}", folder / f"exported{seed}"
    edgebll("export", folder / f"mixed{seed}", "--state", "initial", "--out", bundle)
    edgebll("simulate", bundle, "--boards", 0, "--epochs", epochs, "--seed", seed, "--out", run)
    return accuracy(run)


def quantise(folder: Path, seed: int) -> float:
    """Accuracy of the int8 graphs."""
    bundle, quantised = folder / f"float{seed}", folder / f"int8{seed}"
    edgebll("export", folder / f"float32{seed}", "--out", bundle)
    edgebll("quantize", bundle, "--samples", 512, "--out", quantised)
    return 100 * float(json.loads(edgebll("eval", quantised, "--int8", "--threads", 1, "--json"))["accuracy"])


def main() -> None:
    """Train everything, write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--parallel", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    seeds, started = range(options.seeds), time.monotonic()
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(options.parallel) as pool:
        folder = Path(name)
        jobs = {
            (p, s): pool.submit(train, folder, p, s, options.epochs) for p in ("mixed", "bfloat16", "float32") for s in seeds
        }
        results = {words: [jobs[precision, seed].result() for seed in seeds] for precision, words in TRAINED.items()}
        results[EXPORTED] = [train_exported(folder, seed, options.epochs) for seed in seeds]
        results[INT8] = [quantise(folder, seed) for seed in seeds]
    base = statistics.mean(results["float32"])
    rows = [
        (words, *(f"{value:.2f}" for value in values), f"{statistics.mean(values) - base:+.2f}")
        for words, values in results.items()
    ]
    text = [
        "## Accuracy of the precisions",
        f"Conditions: Fashion-MNIST, resnet8 in 4 BLL blocks, {options.epochs} epochs, batch 64, `edgebll train`'s recipe; "
        f"test accuracy in %; {machine()}; {time.monotonic() - started:.0f} s in all. `python bench/precision.py`.",
        table(("precision", *(f"seed {seed}" for seed in seeds), "from float32"), rows),
    ]
    write_section("precision", "\n\n".join(text))
    print("\n\n".join(text))


if __name__ == "__main__":
    main()
