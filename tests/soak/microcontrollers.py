"""Pipelines over two microcontrollers and a Linux board under faults: `make soak-mcu`. Not part of `make test`.

Two hundred runs, each with a seeded schedule of faults to chips, lines, agents and host: every one must end with the bits of an
undisturbed run. The chips are the firmware as a process of this machine; `--kind mps2-an386` takes emulated boards.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.board_runs import make_tokens
from support.chaos_boards import make_kinds
from support.chaos_trial import Trial
from support.microcontroller_chaos import mixed_boards, schedule
from support.tiny_bundle import SIDES, make_tiny_bundle

from edgebll.kernel.execution.sequential import run_sequential
from edgebll.kernel.state.block_state import state_sha256
from edgebll.kernel.wire import State

STEPS, FAULTS = 200, 3


def main() -> int:
    """Run all schedules; 1 where one ended with other bits, or not at all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedules", type=int, default=200, help="runs")
    parser.add_argument("--seed", type=int, default=1000, help="of the first schedule")
    parser.add_argument("--kind", default="host", help="of microcontroller, as `edgebll firmware boards` names it")
    options = parser.parse_args()
    kinds, failed = make_kinds(STEPS, 20), 0
    with tempfile.TemporaryDirectory(prefix="edgebll-soak-") as name:
        folder = Path(name)
        bundle = make_tiny_bundle(folder / "tiny", blocks=4, sides=SIDES)
        messages = run_sequential(bundle, "alone", make_tokens(bundle, kinds, "alone"), runtime="ordered")
        expected = state_sha256({m.block: m.tensors for m in messages if isinstance(m, State) and m.final})
        with mixed_boards(folder / "boards", options.kind) as (made, cluster):
            for seed in range(options.seed, options.seed + options.schedules):
                trial, started = Trial(bundle, kinds, cluster, made, folder / f"run{seed}", pause_s=0.01), time.monotonic()
                try:
                    same = trial.go(schedule(seed, STEPS, made, FAULTS)) == expected
                    words = "same bits" if same else "OTHER BITS"
                except AssertionError as error:
                    same, words = False, f"FAILED: {error}"
                failed += not same
                print(f"seed {seed}: {words} after {time.monotonic() - started:.1f} s; {'; '.join(trial.log)}", flush=True)
    print(f"{options.schedules} schedules, {failed} failed", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
