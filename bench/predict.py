"""Predictions of `edgebll simulate --virtual` against real runs over agent processes of this machine.

    OMP_NUM_THREADS=1 python bench/predict.py [--steps 50] [--only NAME] [--check]

Agents are real, but for their blocks, which take a set time (bench/predict_agent.py), so that a machine of few cores can host
several; a slow link is a proxy before a board's data port (bench/slow_link.py), and its figures stand in the inventory. In
each configuration `edgebll calibrate` measures the boards, then the run is predicted, then it is run; the ratio of predicted to
measured throughput is printed. The first configuration is run twice: what lies between the two is the machine's own noise. The
result goes to bench/RESULTS.md; with --check the exit status is 1 where the median error is above 5 %.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from commands import edgebll
from results import machine, table, write_section
from slow_link import SlowLink

from edgebll.learning import SGD, Greedy
from edgebll.learning.networks import make_network
from edgebll_export import export_bundle

BATCH, BLOCKS, WIDTH = 32, 4, 256
STEP_S = 0.04
MAX_MEDIAN = 0.05


@dataclass(frozen=True)
class Setting:
    """A configuration: seconds a block of each board, blocks of each, window, and the link to the last board (bytes/s, s)."""

    name: str
    step_s: tuple[float, ...]
    split: tuple[int, ...]
    window: int
    slow: tuple[float, float] | None = None
    every: int = 0


SETTINGS = (
    Setting("one board", (STEP_S,), (4,), 4),
    Setting("two boards, window 1", (STEP_S, STEP_S), (2, 2), 1),
    Setting("two boards, window 4", (STEP_S, STEP_S), (2, 2), 4),
    Setting("three, the last half as fast", (STEP_S, STEP_S, 2 * STEP_S), (1, 2, 1), 4),
    Setting("two, 2 MB/s and 10 ms between", (STEP_S, STEP_S), (2, 2), 4, (2e6, 0.01)),
    Setting("two, slow link, window 1", (STEP_S, STEP_S), (2, 2), 1, (1e6, 0.02)),
    Setting("two, a snapshot every 10 steps", (STEP_S, STEP_S), (3, 1), 4, None, 10),
)


@contextlib.contextmanager
def agents(setting: Setting, folder: Path) -> Iterator[Path]:
    """The boards of a configuration, running; their inventory."""
    text = f"[host]\nwindow = {setting.window}\n"
    blocks = [f"block{index}" for index in range(BLOCKS)]
    with contextlib.ExitStack() as stack:
        for number, (seconds, count) in enumerate(zip(setting.step_s, setting.split, strict=True)):
            slow = setting.slow if number + 1 == len(setting.split) else None
            endpoint = _start(stack, folder, f"b{number}", seconds, slow)
            hosted, blocks = blocks[:count], blocks[count:]
            text += f'[[board]]\nname = "b{number}"\nendpoint = "{endpoint}"\nblocks = {json.dumps(hosted)}\n'
        if setting.slow is not None:
            bytes_per_s, latency_s = setting.slow
            ends = [f"b{number}" for number in range(len(setting.split))][-2:]
            text += f"[[link]]\nbetween = {json.dumps(ends)}\n"
            text += f'bandwidth = "{bytes_per_s / 1e3:.0f}kB"\nlatency = "{1e3 * latency_s:.0f}ms"\n'
        path = folder / "cluster.toml"
        path.write_text(text)
        yield path


def _start(stack: contextlib.ExitStack, folder: Path, name: str, seconds: float, slow: tuple[float, float] | None) -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        data = free.getsockname()[1]
    command = [sys.executable, str(Path(__file__).with_name("predict_agent.py")), str(seconds), "serve"]
    command += ["--listen", "tcp://127.0.0.1:0", "--data-listen", f"tcp://127.0.0.1:{data}", "--name", name]
    command += ["--state", str(folder / name), "--leave-seconds", "0"]
    if slow is not None:
        proxy = stack.enter_context(SlowLink(data, *slow))
        command += ["--data-announce", f"tcp://127.0.0.1:{proxy.port}"]
    log = stack.enter_context((folder / f"{name}.log").open("wb"))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    stack.callback(_end, process)
    words = process.stdout.readline().split() if process.stdout is not None else []
    if len(words) < 4:
        sys.exit(f"the agent {name} did not start; see {log.name}")
    return words[3]


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.communicate()


def compared(setting: Setting, bundle: Path, steps: int, folder: Path) -> tuple[float, float]:
    """Samples a second as predicted and as measured."""
    how = ["--data", "digits", "--limit", steps * BATCH, "--snapshot-every", setting.every, "--json"]
    with agents(setting, folder) as cluster:
        edgebll("calibrate", bundle, "--cluster", cluster, "--steps", 10, "--no-links")
        told = edgebll("simulate", "--virtual", bundle, "--cluster", cluster, *how)
        predicted: dict[str, Any] = json.loads(told)
        measured = json.loads(edgebll("run", bundle, "--cluster", cluster, "--out", folder / "run", "--no-preflight", *how))
    if predicted["steps"] != measured["steps"]:
        sys.exit(f"{setting.name}: {predicted['steps']} steps were predicted, and {measured['steps']} were run")
    return predicted["samples_per_second"], measured["samples_per_second"]


def all_compared(settings: Sequence[Setting], steps: int) -> list[tuple[str, float, float]]:
    """Name, prediction and measurement of every configuration."""
    torch.set_num_threads(1)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        options = {"width": WIDTH}
        network = make_network("mlp", num_blocks=BLOCKS, num_classes=10, input_shape=(1, 8, 8), seed=0, options=options)
        export_bundle(network, rule=Greedy(), optimizer=SGD(), batch_size=BATCH, path=Path(folder) / "bundle")
        for number, setting in enumerate(settings):
            place = Path(folder) / str(number)
            place.mkdir()
            found.append((setting.name, *compared(setting, Path(folder) / "bundle", steps, place)))
            print(f"{setting.name}: predicted {found[-1][1]:.1f}, measured {found[-1][2]:.1f} samples/s", flush=True)
    return found


def main() -> int:
    """Compare, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--only", default="")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    settings = [setting for setting in (*SETTINGS, SETTINGS[0]) if options.only in setting.name]
    found = all_compared(settings, options.steps)
    ratios = [predicted / measured for _, predicted, measured in found]
    median = statistics.median(abs(ratio - 1) for ratio in ratios)
    rows = [(name, f"{p:.1f}", f"{m:.1f}", f"{p / m:.3f}") for name, p, m in found]
    text = [
        "## Predictions in virtual time",
        f"Conditions: {machine()}; an MLP of {BLOCKS} blocks, batch {BATCH}, {options.steps} steps; agents are real, blocks "
        f"sleep for {1e3 * STEP_S:.0f} ms; load of other work {os.getloadavg()[0]:.1f}: "
        f"`python bench/predict.py --steps {options.steps}`.",
        table(("configuration", "predicted, samples/s", "measured", "ratio"), rows),
        f"Median error {100 * median:.1f} %, largest {100 * max(abs(ratio - 1) for ratio in ratios):.1f} %. The first and last "
        f"rows are one configuration: measured twice they differ by {100 * abs(found[0][2] / found[-1][2] - 1):.1f} %.",
    ]
    if not options.only:
        write_section("predict", "\n\n".join(text))
    print("\n\n".join(text))
    return 1 if options.check and median > MAX_MEDIAN else 0


if __name__ == "__main__":
    sys.exit(main())
