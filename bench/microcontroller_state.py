"""Training on a microcontroller with its state in float32, int16 and int8: bytes, instructions a step, accuracy.

    OMP_NUM_THREADS=1 python bench/microcontroller_state.py     (make bench-mcu-state; five minutes)

Networks learn by BLL with momentum from the start in that state; the run of the first seed is exported with a batch of 2, and
the step of every block runs on an emulated Cortex-M4F. Results go to bench/RESULTS.md.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
from results import table, write_section
from support.emulated_boards import CORES, run_emulated
from support.microcontroller_tools import advice, missing_packages
from support.step_costs import step_memory, tools

import edgebll
from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.microcontroller import plan_block

SEEDS, BATCH = (0, 1, 2), 2
MLP = {"network": "mlp", "network_option": {"width": 32, "depth": 3}, "blocks": 3}
RESNET = {"network": "resnet8", "network_option": {"width": 8}, "split": "stages", "blocks": 3}
#: Name, what the network is, epochs.
NETWORKS: tuple[tuple[str, dict[str, Any], int], ...] = (("MLP 64-32-32-32-10", MLP, 6), ("ResNet-8 w8, 8 x 8", RESNET, 3))
HEADER = ("network, digits", "state in", "state", "arena", "plans", "instructions a sample", "test accuracy, %")


def step_cost(bundle_path: Path) -> tuple[int, int, int, int]:
    """State, arena and plans in bytes, and instructions a sample, over all blocks of a bundle on one board.

    Args:
        bundle_path: exported for microcontrollers.
    """
    bundle = open_bundle(bundle_path)
    plans = [plan_block(bundle, spec.name) for spec in bundle.manifest.blocks]
    instructions = 0
    for plan in plans:
        state, arena = step_memory(bundle, plan)
        said = run_emulated(CORES["M4F"], plan.encoded["step"], bytes(state), bytes(arena))
        if said.get("error", 1):
            sys.exit(f"{bundle_path}: the step of {plan.block} does not run: {said}")
        instructions += said["instructions"] // BATCH
    sizes = sum(plan.state_bytes for plan in plans), max(plan.arena_bytes for plan in plans)
    return (*sizes, sum(plan.plan_bytes for plan in plans), instructions)


def row(folder: Path, name: str, network: dict[str, Any], epochs: int, bits: int) -> tuple[str, ...]:
    """One line: a network with its state in so many bits.

    Args:
        folder: for runs and bundles.
        name: of the network, for the table.
        network: arguments of `edgebll.train` that say which it is.
        epochs: of training.
        bits: 32, 16 or 8.
    """
    reached = []
    for seed in SEEDS:
        learning: dict[str, Any] = {
            "epochs": epochs,
            "batch_size": 16,
            "lr": 0.1,
            "seed": seed,
            "state_bits": bits,
            "threads": 1,
        }
        run = edgebll.train(folder / "run", **network, **learning, threads=1, overwrite=True)
        reached.append(100 * (run.accuracy or 0.0))
        if seed == SEEDS[0]:
            edgebll.export(folder / "run", folder / "bundle", batch_size=BATCH, target="microcontroller")
    cost = step_cost(folder / "bundle")
    kind = "float32" if bits == 32 else f"int{bits}"
    told = f"{np.mean(reached):.2f} ({min(reached):.2f} to {max(reached):.2f})"
    print(name, kind, *cost, told, flush=True)
    return (name, kind, *(f"{number:,}" for number in cost), told)


def main() -> int:
    """Train, measure and write."""
    if missing := missing_packages():
        print(advice(missing), file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="edgebll-state-") as folder:
        found = [row(Path(folder), *network, bits) for network in NETWORKS for bits in (32, 16, 8)]
    text = (
        "### Training on a microcontroller with its state in int16 and int8\n\n"
        f"`make bench-mcu-state`. Conditions: emulated Cortex-M4F, {tools()}, exact, with int8; all blocks on one board, the "
        f"arena that of the block that needs most; bytes. Batches of {BATCH} on the board, of 16 in training, on a PC; BLL, "
        f"SGD with Nesterov's momentum and weight decay. Accuracy: mean and range of {len(SEEDS)} seeds, trained in that "
        f"state from the start, the MLP for {NETWORKS[0][2]} epochs, the ResNet for {NETWORKS[1][2]}.\n\n{table(HEADER, found)}"
    )
    write_section("microcontroller-state", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
