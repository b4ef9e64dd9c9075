"""Training steps on ONNX Runtime against PyTorch eager, one thread each.

    OMP_NUM_THREADS=1 python bench/step_speed.py [--networks resnet8 ...] [--batch 64] [--repeats 15] [--check]

For every block: the same step as edgebll's eager function, as an idiomatic PyTorch loop (nn.Module, loss.backward(),
torch.optim.SGD, the same loss) and on ONNX Runtime through the board's runtime. The three run in turn, so that a disturbance of
the machine hits all of them; medians after warm-up. Goal: no block slower than 1.15 times PyTorch, geometric mean at most 1.0.
The table goes to bench/RESULTS.md; with --check the exit status is 1 where the goal is missed.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from results import machine, table, write_section
from roofline import matmul_rate, profiled_rate
from torch import nn

from edgebll.bundle import Bundle, open_bundle
from edgebll.learning import SGD, BlockStep, make_rule, make_steps
from edgebll.networks import make_network
from edgebll_devices.runtimes import load_block
from edgebll_export import export_bundle

NETWORKS = ("mlp", "resnet8", "resnet18")
MAX_RATIO, MAX_MEAN = 1.15, 1.0
LR = 0.01


@dataclass(frozen=True)
class Row:
    """Medians in milliseconds, and the share of the matrix-product rate that the products of the step reach."""

    network: str
    block: str
    eager_ms: float
    torch_ms: float
    ort_ms: float
    gemm_share: float
    gemm_rate: float

    @property
    def ratios(self) -> tuple[float, float]:
        """ONNX Runtime over edgebll's eager step, and over the idiomatic loop."""
        return self.ort_ms / self.eager_ms, self.ort_ms / self.torch_ms


def idiomatic(step: BlockStep, module: nn.Module, x: torch.Tensor, y: torch.Tensor) -> Callable[[], None]:
    """The block's training step as one writes it in PyTorch."""
    module.train()
    objective, options = step.objective, step.optimizer
    generator = torch.Generator().manual_seed(0)
    head = {name: nn.Parameter(value) for name, value in objective.parameters(generator).items()}
    feedback = objective.feedback_state(generator)
    optimizer = torch.optim.SGD(
        [*module.parameters(), *head.values()],
        lr=LR,
        momentum=options.momentum,
        nesterov=options.nesterov,
        weight_decay=options.weight_decay,
    )

    def run() -> None:
        nonlocal feedback
        optimizer.zero_grad()
        a = module(x)
        with torch.no_grad():
            feedback = objective.renew_feedback(feedback, a.detach(), y)
        loss, _ = objective.loss(head, feedback, a, y)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return run


def eager(step: BlockStep, x: torch.Tensor, y: torch.Tensor) -> Callable[[], None]:
    """edgebll's pure step function."""
    state = step.initial_state()
    lr = {"lr": torch.tensor(LR)}

    def run() -> None:
        nonlocal state
        state, _, _ = step(state, x, y, lr)

    return run


def medians(runs: Sequence[Callable[[], object]], repeats: int, warm_up: int = 3) -> list[float]:
    """Median time of each in milliseconds; they run in turn."""
    times: list[list[float]] = [[] for _ in runs]
    gc.disable()
    try:
        for turn in range(warm_up + repeats):
            for run, kept in zip(runs, times, strict=True):
                start = time.perf_counter()
                run()
                if turn >= warm_up:
                    kept.append(1e3 * (time.perf_counter() - start))
    finally:
        gc.enable()
    return [statistics.median(kept) for kept in times]


def measure_block(bundle: Bundle, network: str, step: BlockStep, module: nn.Module, repeats: int, peak: float) -> Row:
    """One row of the table."""
    generator = torch.Generator().manual_seed(0)
    spec = step.spec
    x = torch.randn(spec.input.shape, generator=generator).relu()
    y = torch.eye(spec.labels.shape[1])[torch.randint(0, spec.labels.shape[1], (spec.labels.shape[0],), generator=generator)]
    x_array, y_array = x.numpy(), y.numpy()
    with load_block("onnxruntime", bundle, step.name, threads=1) as block:
        runs = [eager(step, x, y), idiomatic(step, module, x, y), lambda: block.train(x_array, y_array, {"lr": LR})]
        times = medians(runs, repeats)
    inputs = {**bundle.state(step.name), "x": x_array, "y": y_array, "lr": np.float32(LR)}
    rate, share = profiled_rate(bundle.graph(step.name, "step"), {k: np.asarray(v) for k, v in inputs.items()})
    row = Row(network, step.name, times[0], times[1], times[2], share, rate / peak)
    print(
        f"{network} {step.name}: eager {times[0]:.2f} ms, idiomatic {times[1]:.2f} ms, ONNX Runtime {times[2]:.2f} ms",
        flush=True,
    )
    return row


def measure_network(name: str, batch: int, repeats: int, peak: float) -> list[Row]:
    """All four blocks of a network under BLL."""
    network = make_network(name, num_blocks=4, num_classes=10, input_shape=(1, 28, 28), seed=0)
    rule, optimizer = make_rule("bll"), SGD()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        export_bundle(network, rule=rule, optimizer=optimizer, batch_size=batch, path=path)
        bundle = open_bundle(path)
        steps = make_steps(network, rule, optimizer, batch)
        pairs = zip(steps, network.blocks, strict=True)
        return [measure_block(bundle, name, step, module, repeats, peak) for step, module in pairs]


def report(rows: list[Row], batch: int, repeats: int, peak: float) -> str:
    """The section of RESULTS.md."""
    header = ["network", "block", "edgebll eager ms", "idiomatic ms", "ONNX Runtime ms", "/ eager", "/ idiomatic"]
    header += ["time in matrix products", "their rate / MatMul 1024^3"]
    lines = [
        [row.network, row.block, f"{row.eager_ms:.2f}", f"{row.torch_ms:.2f}", f"{row.ort_ms:.2f}"]
        + [f"{ratio:.2f}" for ratio in row.ratios]
        + [f"{row.gemm_share:.0%}", f"{row.gemm_rate:.0%}"]
        for row in rows
    ]
    eager_mean, torch_mean = means(rows)
    conditions = (
        f"Conditions: {machine()}; PyTorch {torch.__version__}, ONNX Runtime {onnxruntime.__version__}; one thread each; batch "
        f"{batch}, inputs (1, 28, 28), 4 blocks, BLL, SGD with Nesterov momentum; medians of {repeats} runs in turn after "
        "warm-up. "
        f"MatMul 1024^3 on ONNX Runtime: {peak / 1e9:.0f} GFLOP/s."
    )
    goal = f"Goal: no ratio above {MAX_RATIO}, geometric mean at most {MAX_MEAN}: {'met' if passes(rows) else 'MISSED'}."
    mean = f"Geometric means: {eager_mean:.2f} of edgebll eager, {torch_mean:.2f} of idiomatic PyTorch."
    return f"## Training steps on ONNX Runtime against PyTorch\n\n{conditions}\n\n{table(header, lines)}\n\n{mean} {goal}"


def means(rows: list[Row]) -> tuple[float, float]:
    """Geometric means of both ratios."""
    first, second = (statistics.geometric_mean(kind) for kind in zip(*(row.ratios for row in rows), strict=True))
    return first, second


def passes(rows: list[Row]) -> bool:
    """Whether the goal is met against both ways to run PyTorch."""
    return max(max(row.ratios) for row in rows) <= MAX_RATIO and max(means(rows)) <= MAX_MEAN


def main() -> int:
    """Measure, print, write; returns the exit status."""
    parser = argparse.ArgumentParser(description="Training steps on ONNX Runtime against PyTorch eager, one thread each.")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--check", action="store_true", help="exit with 1 where the goal is missed; does not write RESULTS.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    onnxruntime.set_default_logger_severity(3)
    peak = matmul_rate()
    rows = [r for name in options.networks for r in measure_network(name, options.batch, options.repeats, peak)]
    text = report(rows, options.batch, options.repeats, peak)
    print(text)
    if options.check:
        return 0 if passes(rows) else 1
    if tuple(options.networks) == NETWORKS:
        write_section("step-speed", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
