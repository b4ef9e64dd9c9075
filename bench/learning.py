"""How well the rules learn: resnet8 on Fashion-MNIST, 2 epochs, three seeds, through the command line.

    python bench/learning.py [--rules RULE ...] [--seeds 3] [--epochs 2] [--parallel 2] [--check]

BLL and greedy in four blocks with the same head and recipe, and backpropagation in one; then BLL from the same initial
weights pipelined over agents. Goals: BLL's mean above greedy's and within 1 point of backpropagation's; the pipelined run
within 0.3 points of the trainer's for every seed. The table goes to bench/RESULTS.md; with --check the exit status is 1 where
a goal is missed. Other rules are trained beside these three where --rules names them; a name may carry options, e.g.
"greedy classifier=conv".
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from commands import accuracy, edgebll
from results import machine, table, write_section

from edgebll.learning import is_one_block

#: Those the goals compare.
RULES = ("backprop", "greedy", "bll")
BLOCKS = 4
MAX_GAP, MAX_PIPELINE_GAP = 1.0, 0.3


def train(folder: Path, rule: str, seed: int, epochs: int) -> float:
    """Train one network."""
    run = folder / f"{rule}{seed}"
    recipe = ["--data", "fashion-mnist", "--network", "resnet8", "--batch-size", 64, "--threads", 1]
    edgebll("train", *recipe, *_rule(rule), "--epochs", epochs, "--seed", seed, "--out", run)
    return accuracy(run)


def _rule(rule: str) -> list[object]:
    """Options of a rule given as its name and KEY=VALUE options."""
    name, *options = rule.split()
    return ["--blocks", _blocks(rule), "--rule", name, *(word for option in options for word in ("--rule-option", option))]


def _blocks(rule: str) -> int:
    return 1 if is_one_block(rule.split()[0]) else BLOCKS


def pipeline(folder: Path, seed: int, epochs: int) -> float:
    """Train BLL from the trainer's initial weights over two agents."""
    edgebll("export", folder / f"bll{seed}", "--state", "initial", "--out", folder / f"bundle{seed}")
    run = folder / f"pipelined{seed}"
    edgebll("simulate", folder / f"bundle{seed}", "--boards", 2, "--epochs", epochs, "--seed", seed, "--out", run)
    return accuracy(run)


def main() -> int:
    """Train everything, write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", nargs="+", default=[], metavar="RULE")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--parallel", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    seeds, started = range(options.seeds), time.monotonic()
    rules = list(dict.fromkeys([*RULES, *options.rules]))
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(options.parallel) as pool:
        folder = Path(name)
        jobs = {(r, s): pool.submit(train, folder, r, s, options.epochs) for r in rules for s in seeds}
        results = {rule: [jobs[rule, seed].result() for seed in seeds] for rule in rules}
        results["bll, pipelined over 2 agents"] = [pipeline(folder, seed, options.epochs) for seed in seeds]
    means = {rule: statistics.mean(values) for rule, values in results.items()}
    pipelined = max(abs(a - b) for a, b in zip(results["bll"], results["bll, pipelined over 2 agents"], strict=True))
    met = means["bll"] > means["greedy"] and means["backprop"] - means["bll"] <= MAX_GAP and pipelined <= MAX_PIPELINE_GAP
    rows = [
        (rule, str(_blocks(rule)), *(f"{value:.2f}" for value in values), f"{means[rule]:.2f}", f"{_spread(values):.2f}")
        for rule, values in results.items()
    ]
    text = [
        "## Accuracy of the rules",
        f"Conditions: Fashion-MNIST (60,000 training, 10,000 test images), resnet8, {options.epochs} epochs, batch 64, SGD "
        f"with Nesterov momentum 0.9, weight decay 5e-4, cosine from 0.05, no augmentation; test accuracy in %. {machine()}; "
        f"{time.monotonic() - started:.0f} s in all.",
        table(("rule", "blocks", *(f"seed {seed}" for seed in seeds), "mean", "standard deviation"), rows),
        f"BLL is {means['bll'] - means['greedy']:+.2f} points from greedy with the same head and recipe, "
        f"{means['bll'] - means['backprop']:+.2f} from backpropagation; pipelined and sequential training of one seed "
        f"differ by at most {pipelined:.2f} points.",
        f"Goals: above greedy, within {MAX_GAP:g} point of backpropagation, within {MAX_PIPELINE_GAP:g} when pipelined: "
        f"{'met' if met else 'missed'}.",
    ]
    write_section("learning", "\n\n".join(text))
    print("\n\n".join(text))
    return 1 if options.check and not met else 0


def _spread(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


if __name__ == "__main__":
    sys.exit(main())
