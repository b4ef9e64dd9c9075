"""What pipelining gains and what host and links cost, with real agent processes on this machine.

    OMP_NUM_THREADS=1 python bench/pipeline.py [--steps 80] [--repeats 5] [--check]

Scaling: two balanced blocks on two agents of one thread each, against one agent that hosts both. Overhead: four blocks of
resnet8 on one agent, fed through the host, against the same graphs one after another in one process. The schedules run in turn;
medians of the ratios. Goals: at least 1.7 times the throughput, and less than 5 % overhead at batches of 64. The result goes to
bench/RESULTS.md; with --check the exit status is 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from results import machine, table, write_section
from torch import nn

from edgebll.data import Dataset
from edgebll.data.token_stream import StreamSpec, stream
from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.execution.sequential import run_sequential
from edgebll.kernel.runs.listener import Listener
from edgebll.kernel.runs.run_folder import RunFolder
from edgebll.kernel.spec.lr_schedule import Schedule
from edgebll.kernel.wire import Report
from edgebll.learning import BLL, SGD
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.networks.resnet import BasicBlock
from edgebll_export import export_bundle
from edgebll_firmware_host.engines.local_processes import LocalProcesses
from edgebll_firmware_host.run.cluster_run import run_on_boards
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.run_request import RunRequest

BATCH = 64
MIN_SPEEDUP, MAX_OVERHEAD = 1.7, 0.05


def balanced_network() -> BlockNetwork:
    """Two blocks of about the same cost: three basic blocks of 32 channels on 14 x 14 each, and a convolution."""
    torch.manual_seed(0)
    stem = [nn.Conv2d(1, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()]
    first = nn.Sequential(*stem, *(BasicBlock(32, 32, 1) for _ in range(3)))
    more = [nn.Conv2d(32, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)]
    second = nn.Sequential(*(BasicBlock(32, 32, 1) for _ in range(3)), *more, *head)
    return BlockNetwork([first, second], 10, (1, 28, 28))


def random_data(samples: int) -> Dataset:
    """Noise with random labels: only the time matters."""
    generator = np.random.default_rng(0)
    images = generator.standard_normal((samples, 1, 28, 28), dtype=np.float32)
    return Dataset("noise", images, generator.integers(0, 10, samples), 10)


def seconds_per_step(bundle: Bundle, data: Dataset, boards: int, window: int = 8) -> tuple[float, dict[str, float]]:
    """Time of a step in the steady state, and the computing time of each block a step; boards = 0 is one process."""
    spec = StreamSpec("bench", "block0", BATCH, 1, Schedule(0.01), evaluate=False)
    reports: list[Report] = []
    names = tuple(block.name for block in bundle.manifest.blocks)
    if boards == 0:
        reports = [m for m in run_sequential(bundle, "bench", stream(spec, data, data)) if isinstance(m, Report)]
    else:
        with tempfile.TemporaryDirectory() as folder, RunFolder.create(f"{folder}/run", {}) as run:
            recorder = Recorder(run, Listener(), names, BATCH, spec.steps_per_epoch(data), len(data))
            take = recorder.take

            def keep(board: str, report: Report, clock_offset_ns: int) -> None:
                reports.append(report)
                take(board, report, clock_offset_ns)

            recorder.take = keep  # type: ignore[method-assign]
            engine = LocalProcesses(boards, Path(folder) / "logs")
            run_on_boards(RunRequest(bundle, "bench", lambda start: stream(spec, data, data, start)), engine, recorder)
    ends = sorted(report.end_ns for report in reports if report.block == names[-1])
    skipped = len(ends) // 5  # the pipeline fills, caches warm up
    busy = {name: statistics.median((r.end_ns - r.start_ns) / 1e9 for r in reports if r.block == name) for name in names}
    return (ends[-1] - ends[skipped]) / 1e9 / (len(ends) - 1 - skipped), busy


def compare(bundle: Bundle, data: Dataset, one: int, other: int, repeats: int) -> tuple[list[float], list[float]]:
    """Seconds a step of two schedules, run in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for kept, boards in zip(times, (one, other), strict=True):
            kept.append(seconds_per_step(bundle, data, boards)[0])
    return times


def main() -> int:
    """Run both comparisons and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = random_data(BATCH * options.steps)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        export_bundle(balanced_network(), rule=BLL(), optimizer=SGD(), batch_size=BATCH, path=f"{folder}/two")
        resnet = make_network("resnet8", num_blocks=4, num_classes=10, input_shape=(1, 28, 28), seed=0)
        export_bundle(resnet, rule=BLL(), optimizer=SGD(), batch_size=BATCH, path=f"{folder}/four")
        two, four = open_bundle(f"{folder}/two"), open_bundle(f"{folder}/four")
        _, busy = seconds_per_step(two, data, 0)
        single, double = compare(two, data, 1, 2, options.repeats)
        plain, hosted = compare(four, data, 0, 1, options.repeats)
    speedup = statistics.median(s / d for s, d in zip(single, double, strict=True))
    overhead = statistics.median(h / p for h, p in zip(hosted, plain, strict=True)) - 1
    met = speedup >= MIN_SPEEDUP and overhead < MAX_OVERHEAD

    def milliseconds(values: list[float]) -> str:
        return f"{1e3 * statistics.median(values):.2f}"

    rows = [
        ("one agent, both halves", milliseconds(single), "1"),
        ("two agents, a half each", milliseconds(double), f"{speedup:.2f}"),
    ]
    text = [
        "## Pipelining over agents on one machine",
        f"Conditions: {machine()}; batch {BATCH}, one thread an agent, window 8, {options.steps} steps a run of which the "
        f"first fifth is left out, {options.repeats} runs in turn, medians ({time.monotonic() - started:.0f} s in all).",
        f"Two balanced blocks ({', '.join(f'{1e3 * v:.1f} ms' for v in busy.values())} a step alone):",
        table(("schedule", "ms a step", "throughput"), rows),
        f"Host and links: resnet8 in four blocks on one agent takes {milliseconds(hosted)} ms a step fed by the host, and "
        f"{milliseconds(plain)} ms one block after another in one process: {100 * overhead:+.1f} %.",
        f"Goals: at least {MIN_SPEEDUP} times, less than {100 * MAX_OVERHEAD:.0f} %: {'met' if met else 'missed'}.",
    ]
    write_section("pipeline", "\n\n".join(text))
    print("\n\n".join(text))
    return 1 if options.check and not met else 0


if __name__ == "__main__":
    sys.exit(main())
