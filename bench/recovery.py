"""What snapshots cost, and how long it takes to recover from a board that dies or freezes, with real agent processes.

    OMP_NUM_THREADS=1 python bench/recovery.py [--steps 300] [--repeats 5] [--check]

The demo's network, resnet8 in four blocks on four agents, at batches of 64 of noise. Snapshots: runs without any, and with one
every 100 and every 10 steps, in turn; the time of a step, and the processor time of host and agents, which other work on the
machine disturbs less. Recovery: an agent is killed or frozen at a random step; the times until that is noticed, until all
blocks are ready again, and until something new is done, and the files the host sent meanwhile. Goals: snapshots every 100 steps
cost less than 2 %; ready again less than 2 s after it was noticed. The result goes to bench/RESULTS.md; with --check the exit
status is 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from pipeline import BATCH, random_data
from results import machine, table, write_section

from edgebll.data import Dataset
from edgebll.data.token_stream import StreamSpec, stream
from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.runs.listener import Listener
from edgebll.kernel.runs.run_folder import RunFolder
from edgebll.kernel.spec.lr_schedule import Schedule
from edgebll.learning import BLL, SGD
from edgebll.learning.networks import make_network
from edgebll_export import export_bundle
from edgebll_firmware_host.engines.local_processes import LocalProcesses
from edgebll_firmware_host.inventory import HostEntry
from edgebll_firmware_host.run.cluster_run import run_on_boards
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.run_request import Outcome, RunRequest

BOARDS, EVERY, OFTEN = 4, 100, 10
DEADLINE_S = 2.0
MAX_COST, MAX_RESTORE_S = 0.02, 2.0


@dataclass
class Hurting(Listener):
    """A listener that hurts an agent at a step. Attributes: when_s: when it did."""

    at: int = -1
    number: int = 0
    engine: LocalProcesses | None = None
    when_s: float = 0.0
    began_s: float = field(default=0.0)

    def stepped(self, step: int, losses: object, samples: int) -> None:
        """A step is done."""
        self.began_s = self.began_s or time.monotonic()
        if step == self.at and self.engine is not None and not self.when_s:
            pids = self.engine.process_ids()
            self.when_s = time.monotonic()
            os.kill(random.Random(step).choice(sorted(pids.values())), self.number)


def run(bundle: Bundle, data: Dataset, every: int, hurting: Hurting) -> tuple[Outcome, float, float]:
    """One run; its outcome, seconds a step once the first is done, and processor seconds of host and agents in all."""
    spec = StreamSpec("bench", "block0", BATCH, 1, Schedule(0.01), evaluate=False, snapshot_every=every)
    names = tuple(block.name for block in bundle.manifest.blocks)
    before = _processor_seconds()
    with tempfile.TemporaryDirectory() as folder, RunFolder.create(f"{folder}/run", {}) as opened:
        recorder = Recorder(opened, hurting, names, BATCH, spec.steps_per_epoch(data), len(data))
        engine = LocalProcesses(BOARDS, Path(folder) / "logs", host=HostEntry(deadline_s=DEADLINE_S))
        hurting.engine = engine
        outcome = run_on_boards(RunRequest(bundle, "bench", lambda start: stream(spec, data, data, start)), engine, recorder)
    ended_s = time.monotonic()
    return outcome, (ended_s - hurting.began_s) / spec.steps_per_epoch(data), _processor_seconds() - before


def _processor_seconds() -> float:
    """Of this process and all agents that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def snapshot_cost(bundle: Bundle, data: Dataset, repeats: int) -> tuple[list[tuple[str, ...]], float]:
    """Rows of the table, and the cost of a snapshot every EVERY steps as a fraction of the run's processor time."""
    found: dict[int, list[tuple[float, float]]] = {0: [], EVERY: [], OFTEN: []}
    for _ in range(repeats):
        for every, kept in found.items():
            kept.append(run(bundle, data, every, Hurting())[1:])
    steps = len(data) // BATCH
    wall, used = ({e: statistics.median(r[i] for r in kept) for e, kept in found.items()} for i in (0, 1))
    ratios = {e: statistics.median(r[0] / z[0] for r, z in zip(found[e], found[0], strict=True)) - 1 for e in (EVERY, OFTEN)}
    one = (used[OFTEN] - used[0]) / (steps // OFTEN)
    rows: list[tuple[str, ...]] = [("none", f"{1e3 * wall[0]:.2f}", "", f"{used[0]:.2f}")]
    rows += [
        (f"every {e} steps", f"{1e3 * wall[e]:.2f}", f"{100 * ratios[e]:+.1f} %", f"{used[e]:.2f}") for e in (EVERY, OFTEN)
    ]
    return rows, max(0.0, one) / (EVERY * used[0] / steps)


def recoveries(bundle: Bundle, data: Dataset, repeats: int, number: int) -> list[tuple[float, float, float, float]]:
    """Of several runs: seconds until a failure was noticed, until all was ready, until something new was done; MiB sent."""
    chance, found = random.Random(0), []
    steps = len(data) // BATCH
    for _ in range(repeats):
        hurting = Hurting(at=chance.randrange(EVERY, steps - 10), number=number)
        outcome = run(bundle, data, EVERY, hurting)[0]
        first = outcome.recoveries[0]
        sent = first.shipped_bytes / 2**20
        found.append((first.failed_s - hurting.when_s, first.restore_s or 0.0, first.replay_s or 0.0, sent))
    return found


def main() -> int:
    """Run both parts and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data, started, load = random_data(BATCH * options.steps), time.monotonic(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        network = make_network("resnet8", num_blocks=4, num_classes=10, input_shape=(1, 28, 28), seed=0)
        export_bundle(network, rule=BLL(), optimizer=SGD(), batch_size=BATCH, path=f"{folder}/bundle")
        bundle = open_bundle(f"{folder}/bundle")
        size = sum(block.state_bytes for block in bundle.manifest.blocks)
        costs, fraction = snapshot_cost(bundle, data, options.repeats)
        hurt = {
            name: recoveries(bundle, data, options.repeats, number)
            for name, number in (("killed", signal.SIGKILL), ("frozen", signal.SIGSTOP))
        }
    rows = [
        (name, *(f"{statistics.median(column):.2f}" for column in zip(*times, strict=True))) for name, times in hurt.items()
    ]
    slowest = max(restore for times in hurt.values() for _, restore, *_ in times)
    met = fraction < MAX_COST and slowest < MAX_RESTORE_S
    text = [
        "## Snapshots and recovery",
        f"Conditions: {machine()}; resnet8 in four blocks ({size / 2**20:.1f} MiB of state) on {BOARDS} agents of one thread "
        f"each, batch {BATCH}, {options.steps} steps a run, {options.repeats} runs in turn, medians "
        f"({time.monotonic() - started:.0f} s in all; load of other work when it began {load:.1f}): "
        f"`python bench/recovery.py --steps {options.steps} --repeats {options.repeats}`.",
        table(("snapshots", "ms a step", "against none", "processor s a run"), costs),
        f"By processor time a snapshot every {EVERY} steps costs {100 * fraction:.2f} %, from the runs with one every {OFTEN}.",
        f"Recovery, snapshots every {EVERY} steps, deadline {DEADLINE_S:g} s:",
        table(("an agent is", "noticed after, s", "ready again after, s", "something new after, s", "files sent, MiB"), rows),
        f"The slowest of all {2 * options.repeats} was ready {slowest:.2f} s after it was noticed. Goals: less than "
        f"{100 * MAX_COST:.0f} %, less than {MAX_RESTORE_S:g} s: {'met' if met else 'missed'}.",
    ]
    write_section("recovery", "\n\n".join(text))
    print("\n\n".join(text))
    return 1 if options.check and not met else 0


if __name__ == "__main__":
    sys.exit(main())
