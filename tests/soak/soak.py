"""Runs under faults for as long as one likes: `make soak`, or `python tests/soak/soak.py --help`. Not part of `make test`.

Two parts. Many short runs, each with a seeded schedule of faults: every one must end with the bits of an undisturbed run.
Then one long run over four boards with a fault every minute, whose host and first board are never killed: their memory, open
descriptors and threads, and what they log a minute, must stay as they are after the first fifth of the time.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.board_runs import run_alone
from support.chaos import schedule
from support.chaos_boards import Board, boards, make_kinds
from support.chaos_trial import Trial
from support.tiny_bundle import SIDES, make_tiny_bundle

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.state.block_state import state_sha256

#: Training steps of a short run; and of a long one in a minute: as many as the host's pause before each lets through at most.
STEPS, FAULTS = 300, 3
PAUSE_S, STEPS_A_MINUTE = 0.02, 3000
#: Memory may grow by so much over the long run, and descriptors and threads by so many.
MAX_GROWTH_BYTES, MAX_GROWTH = 8 << 20, 2


@dataclass
class Sample:
    """What a process holds: resident memory in bytes, descriptors, threads; log in bytes."""

    seconds: float
    memory: int
    descriptors: int
    threads: int
    log: int


def sample(pid: int, log: Path, seconds: float) -> Sample:
    """Look at a process of this machine."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    memory = int(status["VmRSS"].split()[0]) * 1024
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Sample(seconds, memory, descriptors, int(status["Threads"]), log.stat().st_size)


@dataclass
class Watch:
    """Samples of one process over a run."""

    name: str
    samples: list[Sample] = field(default_factory=list)

    def judge(self) -> bool:
        """Print first and last values, medians over a fifth of the time each; whether they are flat."""
        fifth = max(1, len(self.samples) // 5)
        early, late = self.samples[fifth : 2 * fifth], self.samples[-fifth:]
        flat = True
        for what, limit in (("memory", MAX_GROWTH_BYTES), ("descriptors", MAX_GROWTH), ("threads", MAX_GROWTH)):
            first, last = (statistics.median(getattr(s, what) for s in part) for part in (early, late))
            flat &= last - first <= limit
            print(f"  {self.name}: {what} {first:.0f} -> {last:.0f}{'' if last - first <= limit else '  GROWS'}")
        seconds = self.samples[-1].seconds - self.samples[0].seconds
        rate = (self.samples[-1].log - self.samples[0].log) / seconds * 60 if seconds else 0.0
        print(f"  {self.name}: log {rate:.0f} bytes a minute")
        return flat


def short_runs(bundle: Bundle, made: list[Board], cluster: Path, folder: Path, seeds: range, *, encrypted: bool) -> int:
    """Run every seed's schedule; returns the number of runs that ended with other bits, or not at all."""
    kinds = make_kinds(STEPS, 20)
    expected, failed = state_sha256(run_alone(bundle, kinds)), 0
    for seed in seeds:
        trial, started = Trial(bundle, kinds, cluster, made, folder / f"run{seed}"), time.monotonic()
        try:
            same = trial.go(schedule(seed, STEPS, made, FAULTS, encrypted=encrypted)) == expected
            words = "same bits" if same else "OTHER BITS"
        except AssertionError as error:
            same, words = False, f"FAILED: {error}"
        failed += not same
        print(f"seed {seed}: {words} after {time.monotonic() - started:.1f} s; {'; '.join(trial.log)}", flush=True)
    return failed


def long_run(bundle: Bundle, made: list[Board], cluster: Path, folder: Path, minutes: float, seed: int) -> bool:
    """One run with a fault every minute; whether it ended with the right bits and what was watched stayed flat."""
    steps = round(minutes * STEPS_A_MINUTE)
    kinds = make_kinds(steps, 50)
    expected = state_sha256(run_alone(bundle, kinds))
    trial = Trial(bundle, kinds, cluster, made, folder / "long", pause_s=PAUSE_S)
    host, board, started = Watch("host"), Watch(made[0].name), time.monotonic()

    def look(pid: int) -> None:
        now = time.monotonic() - started
        host.samples.append(sample(pid, trial.run / "metrics.jsonl", now) if (trial.run / "metrics.jsonl").exists() else _NONE)
        board.samples.append(sample(made[0].agent.process.pid, made[0].log, now))

    trial.look = look
    some = schedule(seed, steps, made[1:], max(1, round(minutes)), encrypted=True, without=("kill the host",))
    faults = [(round((n + 0.5) * STEPS_A_MINUTE), name, inflict) for n, (_, name, inflict) in enumerate(some)]
    same = trial.go([fault for fault in faults if fault[0] < steps] or [(steps // 2, *faults[0][1:])]) == expected
    host.samples = [s for s in host.samples if s is not _NONE]
    print(
        f"long run: {'same bits' if same else 'OTHER BITS'} after {time.monotonic() - started:.0f} s, {len(trial.log)} faults"
    )
    return all([same, host.judge(), board.judge()])


_NONE = Sample(0.0, 0, 0, 0, 0)


def main() -> int:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedules", type=int, default=100, help="short runs")
    parser.add_argument("--minutes", type=float, default=60.0, help="length of the long run; 0 for none")
    parser.add_argument("--seed", type=int, default=1000, help="of the first schedule")
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="edgebll-soak-") as name:
        folder = Path(name)
        bundle = make_tiny_bundle(folder / "tiny", blocks=4, sides=SIDES)
        for encrypted in (False, True):
            seeds = range(options.seed + encrypted, options.seed + options.schedules, 2)
            with boards(folder / f"boards{encrypted:d}", 4, encrypted=encrypted) as (made, cluster):
                failed += short_runs(bundle, made, cluster, folder, seeds, encrypted=encrypted)
        print(f"{options.schedules} schedules, {failed} failed", flush=True)
        if options.minutes:
            with boards(folder / "long-boards", 4, encrypted=True) as (made, cluster):
                failed += not long_run(bundle, made, cluster, folder, options.minutes, options.seed)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
