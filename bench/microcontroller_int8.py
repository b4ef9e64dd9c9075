"""Predicting in int8 on a microcontroller beside float32: instructions a sample, memory, flash and accuracy.

    OMP_NUM_THREADS=1 python bench/microcontroller_int8.py     (make bench-mcu-int8; two minutes)

Networks learn a little, are quantised by `edgebll quantize`, and each block's forward plan runs on an emulated Cortex-M4F.
Accuracy in int8 is that of the ordered reference, whose bits are the board's. Results go to bench/RESULTS.md.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
from commands import edgebll
from microcontroller_learning import DIGITS, FASHION, small_images
from results import table, write_section
from support.emulated_boards import CORES, run_emulated
from support.microcontroller_tools import advice, missing_packages
from support.step_costs import tools

from edgebll.data.data_folders import SYSTEM_DIR
from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.microcontroller import BlockPlan, plan_block, plan_int8_forward

IMAGES, SAMPLES = 6_000, 1_000
HEADER = ("network", "forward pass in", "instructions a sample", "arena", "weights in RAM", "flash", "test accuracy, %")


@dataclass(frozen=True)
class ForwardCost:
    """What a network's forward pass takes, over all its blocks.

    Attributes:
        instructions: on a Cortex-M4F, for one sample.
        arena_bytes: of the block that needs most.
        state_bytes: of its weights in RAM.
        flash_bytes: of its plans and first weights.
    """

    instructions: int
    arena_bytes: int
    state_bytes: int
    flash_bytes: int


def trained(out: Path, data: object, network: tuple[str, ...], batch_size: int, epochs: int) -> Path:
    """A quantised bundle of a network that learned.

    Args:
        out: folder for it.
        data: name or path of the data.
        network: options that say which network.
        batch_size: of the exported graphs.
        epochs: of training.
    """
    options = ("--rule", "bll", "--epochs", epochs, "--batch-size", 16, "--lr", 0.1, "--seed", 0)
    edgebll("train", "--data", data, *network, *options, "--out", out / "run", "--overwrite")
    edgebll("export", out / "run", "--batch-size", batch_size, "--target", "microcontroller", "--out", out / "bundle")
    edgebll("quantize", out / "bundle", "--out", out / "int8")
    return out / "int8"


def measured(bundle: Bundle, plans: list[BlockPlan]) -> ForwardCost:
    """Run every block's forward plan on the emulator, on random numbers.

    Args:
        bundle: with the states.
        plans: of all its blocks.
    """
    chance, instructions = np.random.default_rng(0), 0
    for plan in plans:
        state, values = np.zeros(plan.state_bytes, np.uint8), bundle.state(plan.block)
        for place in plan.state.tensors:
            data = np.frombuffer(values[place.tensor.name].tobytes(), np.uint8)
            state[place.offset : place.offset + len(data)] = data
        arena = np.zeros(plan.arena_bytes, np.uint8)
        (x,) = (place for place in plan.graphs["forward"].inputs if place.tensor.name == "x")
        data = np.frombuffer(np.abs(chance.standard_normal(x.tensor.shape)).astype(np.float32).tobytes(), np.uint8)
        arena[x.offset : x.offset + len(data)] = data
        said = run_emulated(CORES["M4F"], plan.encoded["forward"], state.tobytes(), arena.tobytes())
        if said.get("error", 1):
            sys.exit(f"{bundle.path}: the forward pass of {plan.block} does not run: {said}")
        instructions += said["instructions"] // x.tensor.shape[0]
    arena_bytes = max(plan.graphs["forward"].plan.arena_bytes for plan in plans)
    held = sum(_forward_bytes(bundle, plan) for plan in plans)
    return ForwardCost(instructions, arena_bytes, held, held + sum(len(plan.encoded["forward"]) for plan in plans))


def _forward_bytes(bundle: Bundle, plan: BlockPlan) -> int:
    """Bytes of the state that the forward pass reads."""
    names = bundle.manifest.block(plan.block).forward_state
    return sum(place.tensor.size_bytes for place in plan.state.tensors if place.tensor.name in names)


def accuracy(bundle: Path, *options: object) -> float:
    """Test accuracy in percent.

    Args:
        bundle: to evaluate.
        options: of `edgebll eval`.
    """
    return 100 * float(json.loads(edgebll("eval", bundle, "--limit", SAMPLES, "--json", *options))["accuracy"])


def rows(name: str, path: Path) -> list[tuple[str, ...]]:
    """The two lines of a network.

    Args:
        name: for the table.
        path: of its quantised bundle.
    """
    bundle, made = open_bundle(path), []
    for kind, plan, options in (("float32", plan_block, ()), ("int8", plan_int8_forward, ("--int8", "--runtime", "ordered"))):
        cost = measured(bundle, [plan(bundle, spec.name) for spec in bundle.manifest.blocks])
        numbers = (cost.instructions, cost.arena_bytes, cost.state_bytes, cost.flash_bytes)
        made.append((name, kind, *(f"{number:,}" for number in numbers), f"{accuracy(path, *options):.2f}"))
        print(*made[-1], flush=True)
    return made


def main() -> int:
    """Train, measure and write."""
    if missing := missing_packages():
        print(advice(missing), file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="edgebll-int8-") as folder:
        out = Path(folder)
        small_images(SYSTEM_DIR / "fashion-mnist", out / "fashion14.npz", IMAGES)
        found = rows("MLP 64-32-32-32-10, digits", trained(out / "digits", "digits", DIGITS, 2, 8))
        found += rows("ResNet-8 w4, Fashion-MNIST 14 x 14", trained(out / "fashion", out / "fashion14.npz", FASHION, 1, 3))
    text = (
        "### Predicting on a microcontroller in int8\n\n"
        f"`make bench-mcu-int8`. Conditions: emulated Cortex-M4F, {tools()}, -O2; all blocks on one board, the arena that of "
        "the block that needs most; bytes. Weights and what lies between products are int8, products and their sums integers; "
        "inputs and outputs of blocks stay float32. The MLP predicts two samples at a time, the ResNet one. Accuracy on "
        f"{SAMPLES:,} test samples at most, in int8 by the ordered reference; trained by BLL, the MLP for 8 epochs, the "
        f"ResNet for 3 over {IMAGES:,} images. Flash: plans and, of float32, the first weights.\n\n{table(HEADER, found)}"
    )
    write_section("microcontroller-int8", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
