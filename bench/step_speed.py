"""Training steps on ONNX Runtime against PyTorch, as ratios measured in one run.

    python bench/step_speed.py [--kinds mlp ...] [--batches 1 8 64] [--threads 1 2] [--compiled] [--check]

For every kind of block (blocks.py): the step as edgebll's eager function, as an idiomatic PyTorch loop, with --compiled also by
torch.compile, and exported, on ONNX Runtime through the board's runtime. They take turns (timing.py). The table goes to
bench/RESULTS.md; with --check it does not, and the exit status is 1 where a goal is missed. Leave OMP_NUM_THREADS unset:
ONNX Runtime takes no more threads than it says, whatever its own options say.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import onnxruntime
import torch
from blocks import KINDS, Block, exported
from contenders import Run, board, eager, idiomatic
from results import machine, table, write_section
from roofline import flops, matmul_rate
from timing import medians

from edgebll.kernel.bundle import Bundle
from edgebll_devices.runtimes import load_block

BATCHES, THREADS = (1, 8, 64), (1, 2)
#: How many times as fast as the idiomatic loop: geometric mean over the kinds by batch, and the least of any block.
MEANS, LEAST = {1: 1.5, 8: 1.5, 64: 1.0}, 0.9
#: Share of the matrix-product rate for blocks of which PyTorch reaches _BOUND of it: there, products are most of the work.
SHARE, BOUND = 0.85, 0.5


@dataclass(frozen=True)
class Row:
    """Median seconds by contender, and the share of the matrix-product rate (in arithmetic as defined) that each reaches."""

    kind: str
    batch: int
    threads: int
    seconds: dict[str, float]
    flops: int
    peak: float

    def faster_than(self, contender: str) -> float:
        """How many times as fast ONNX Runtime is."""
        return self.seconds[contender] / self.seconds["board"]

    def share(self, contender: str) -> float:
        """Share of the rate of a large matrix product."""
        return self.flops / self.seconds[contender] / self.peak

    @property
    def is_bound(self) -> bool:
        """Whether matrix products are most of the work."""
        return self.share("idiomatic") >= BOUND


def measure(block: Block, bundle: Bundle, threads: int, peak: float, budget_s: float, compiled: bool) -> Row:
    """One row of the table."""
    with load_block("onnxruntime", bundle, block.name, threads=threads) as runtime:
        runs: dict[str, Run] = {"eager": eager(block), "idiomatic": idiomatic(block), "board": board(block, runtime)}
        if compiled:
            runs["compiled"] = idiomatic(block, compiled=True)
        seconds = medians(runs, budget_s)
    row = Row(block.kind, block.batch, threads, seconds, flops(eager(block)), peak)
    print(f"{block.kind} batch {block.batch}, {threads} threads: {row.faster_than('idiomatic'):.2f} x idiomatic", flush=True)
    return row


def measure_all(options: argparse.Namespace) -> list[Row]:
    """All rows; each block is exported for each number of threads."""
    rows = []
    peaks = {}
    for threads in options.threads:
        torch.set_num_threads(threads)
        peaks[threads] = matmul_rate(threads)
    for kind in options.kinds:
        for batch in options.batches:
            for threads in options.threads:
                torch.set_num_threads(threads)
                with exported(kind, batch, threads) as (block, bundle):
                    rows.append(measure(block, bundle, threads, peaks[threads], options.budget, options.compiled))
            torch.compiler.reset()
    return rows


def report(rows: Sequence[Row], compiled: bool) -> str:
    """The section of RESULTS.md."""
    contenders = ["eager", "idiomatic", *(["compiled"] if compiled else [])]
    header = ["block", "batch", "threads", *(f"{name} ms" for name in contenders), "ONNX Runtime ms"]
    header += [*(f"x {name}" for name in contenders), "sgemm share: idiomatic", "ours"]
    lines = []
    for row in sorted(rows, key=lambda row: (row.threads, row.batch)):
        times = [f"{1e3 * row.seconds[name]:.2f}" for name in (*contenders, "board")]
        ratios = [f"{row.faster_than(name):.2f}" for name in contenders]
        shares = [f"{row.share(name):.0%}" for name in ("idiomatic", "board")]
        lines.append([row.kind, str(row.batch), str(row.threads), *times, *ratios, *shares])
    kinds = "; ".join(f"{name}: {KINDS[name].words}" for name in dict.fromkeys(row.kind for row in rows))
    peaks = ", ".join(f"{peak / 1e9:.0f}" for peak in dict.fromkeys(row.peak for row in rows))
    versions = f"PyTorch {torch.__version__}, ONNX Runtime {onnxruntime.__version__}"
    conditions = (
        f"Conditions: {machine()}; {versions}; block-local learning, SGD with Nesterov momentum and weight decay; medians of "
        f"turns. Ratios say how many times as fast ONNX Runtime is. Matrix product of 1024^3: {peaks} GFLOP/s (by threads); "
        f"shares of it count a step's arithmetic as defined. Blocks: {kinds}."
    )
    title = "Training steps against torch.compile" if compiled else "Training steps on ONNX Runtime against PyTorch"
    return "\n\n".join([f"## {title}", conditions, table(header, lines), means(rows, contenders), goals(rows)])


def means(rows: Sequence[Row], contenders: Sequence[str]) -> str:
    """Geometric means over the kinds, by threads and batch."""
    lines = []
    for threads, batch in sorted({(row.threads, row.batch) for row in rows}):
        chosen = [row for row in rows if (row.threads, row.batch) == (threads, batch)]
        found = [statistics.geometric_mean(row.faster_than(name) for row in chosen) for name in contenders]
        lines.append([str(threads), str(batch), *(f"{mean:.2f}" for mean in found)])
    return table(["threads", "batch", *(f"mean x {name}" for name in contenders)], lines)


def missed(rows: Sequence[Row]) -> list[str]:
    """The goals that are not met, in words."""
    found = []
    for threads, batch in sorted({(row.threads, row.batch) for row in rows}):
        chosen = [row for row in rows if (row.threads, row.batch) == (threads, batch)]
        mean = statistics.geometric_mean(row.faster_than("idiomatic") for row in chosen)
        if mean < MEANS.get(batch, 1.0):
            found.append(f"the mean at batch {batch}, {threads} threads, is {mean:.2f}")
    for row in rows:
        place = f"{row.kind} at batch {row.batch}, {row.threads} threads,"
        if row.faster_than("idiomatic") < LEAST:
            found.append(f"{place} is {row.faster_than('idiomatic'):.2f} times as fast")
        if row.is_bound and row.share("board") < SHARE:
            found.append(f"{place} reaches {row.share('board'):.0%} of the matrix-product rate")
    return found


def goals(rows: Sequence[Row]) -> str:
    """The goals and which of them are missed."""
    wanted = ", ".join(f"{mean} at batch {batch}" for batch, mean in MEANS.items())
    text = (
        f"Goals, against the idiomatic loop: geometric mean at least {wanted}; no block below {LEAST}; at least {SHARE:.0%} of "
        f"the matrix-product rate where PyTorch reaches {BOUND:.0%}: "
    )
    lost = missed(rows)
    return text + ("met." if not lost else "missed: " + "; ".join(lost) + ".")


def main() -> int:
    """Measure, print, write; returns the exit status."""
    parser = argparse.ArgumentParser(description="Training steps on ONNX Runtime against PyTorch.")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--threads", nargs="+", type=int, default=None)
    parser.add_argument("--budget", type=float, default=2.5, help="seconds of measuring for each row")
    parser.add_argument("--compiled", action="store_true", help="also torch.compile; by default with one thread only")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a goal is missed; does not write RESULTS.md")
    options = parser.parse_args()
    options.threads = options.threads or ((1,) if options.compiled else THREADS)
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if limit.isdigit() and int(limit) < max(options.threads):
        print(f"OMP_NUM_THREADS is {limit} and keeps ONNX Runtime from using more threads; unset it", file=sys.stderr)
        return 2
    onnxruntime.set_default_logger_severity(3)
    rows = measure_all(options)
    text = report(rows, options.compiled)
    print(text)
    if options.check:
        return 1 if missed(rows) else 0
    if options.kinds == list(KINDS):
        write_section("step-speed-compiled" if options.compiled else "step-speed", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
