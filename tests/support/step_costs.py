"""What a training step takes of a microcontroller: instructions, memory for data and memory for programs.

Instructions are counted by QEMU's -icount and the processor's own timer, which has 24 bits: a step of more than forty million
would be counted wrongly. They are no cycles: QEMU knows no caches, no wait states and no pipeline.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.microcontroller import BlockPlan, TensorPlace, plan_block
from edgebll.kernel.spec.firmware_profiles import EXACT, PROFILES
from edgebll.kernel.spec.plan_versions import VERSION
from edgebll.learning import BLL, SGD, Backprop
from edgebll.learning.networks import BlockNetwork
from edgebll_devices.microcontroller.firmware_boards import find_board
from edgebll_devices.microcontroller.firmware_build import FirmwareOptions, build, code_flags
from edgebll_export import export_bundle, make_target
from support.emulated_boards import CORES, RUNTIME, run_emulated
from support.small_networks import small_network_of

RULES = {"backprop": Backprop, "bll": BLL}
MOMENTA = {"SGD": 0.0, "momentum": 0.9}
#: Network, rule, optimiser.
CASES = (
    ("mlp", "backprop", "SGD"),
    ("mlp", "backprop", "momentum"),
    ("mlp", "bll", "SGD"),
    ("mlp", "bll", "momentum"),
    ("lenet", "backprop", "SGD"),
    ("lenet", "bll", "SGD"),
    ("cnn", "backprop", "SGD"),
    ("cnn", "backprop", "momentum"),
)
#: Of the sample that is trained with.
LABEL, RATE = 3, 0.01
REFERENCE_BOARD = "mps2-an386"


@dataclass(frozen=True)
class StepCost:
    """What one sample of training takes, over all blocks of a network.

    Attributes:
        instructions: on a Cortex-M4F, of all blocks.
        state_bytes: weights, moments and feedback, of all blocks.
        arena_bytes: of the block that needs most, as blocks of a board share it.
        lower_bound_bytes: alive at once in that block.
        plan_bytes: of the steps alone.
        stack_bytes: deepest, of any block.
    """

    instructions: int
    state_bytes: int
    arena_bytes: int
    lower_bound_bytes: int
    plan_bytes: int
    stack_bytes: int


def network_of(name: str, rule: str) -> BlockNetwork:
    """A small network; for backpropagation, all of it as one block."""
    network = small_network_of(name)
    if rule != "backprop":
        return network
    layers = [layer for block in network.blocks for layer in (block if isinstance(block, nn.Sequential) else [block])]
    with torch.random.fork_rng():
        return BlockNetwork([nn.Sequential(*layers)], num_classes=10, input_shape=network.input_shape)


def profile_flags(profile: str, *, int8: bool = False) -> tuple[str, ...]:
    """What the firmware of a profile is compiled with, but for warnings; with `int8`, that which runs plans with integers."""
    return tuple(flag for flag in code_flags(profile, int8=int8) if not flag.startswith("-W"))


def measure(name: str, rule: str, optimizer: str, profiles: Sequence[str] = PROFILES) -> dict[str, StepCost]:
    """Export a network for a batch of one, and count its steps by each profile of the firmware."""
    with exported(name, rule, optimizer) as bundle:
        plans = [plan_block(bundle, spec.name) for spec in bundle.manifest.blocks]
        return {profile: _together([block_cost(bundle, plan, profile) for plan in plans]) for profile in profiles}


@contextmanager
def exported(name: str, rule: str, optimizer: str) -> Iterator[Bundle]:
    """The bundle of a network, a rule and an optimiser of CASES, for a batch of one."""
    with tempfile.TemporaryDirectory(prefix="edgebll-bench-") as folder:
        export_bundle(
            network_of(name, rule),
            rule=RULES[rule](),
            optimizer=SGD(momentum=MOMENTA[optimizer], nesterov=False, weight_decay=0.0),
            batch_size=1,
            path=Path(folder) / "bundle",
            target=make_target("microcontroller"),
        )
        yield open_bundle(Path(folder) / "bundle")


def _together(costs: Sequence[StepCost]) -> StepCost:
    """Of all blocks."""
    largest = max(costs, key=lambda cost: cost.arena_bytes)
    return StepCost(
        sum(cost.instructions for cost in costs),
        sum(cost.state_bytes for cost in costs),
        largest.arena_bytes,
        largest.lower_bound_bytes,
        sum(cost.plan_bytes for cost in costs),
        max(cost.stack_bytes for cost in costs),
    )


def block_cost(bundle: Bundle, plan: BlockPlan, profile: str = EXACT) -> StepCost:
    """Count one step of a block.

    Args:
        bundle: with its state; a batch of one.
        plan: of the block.
        profile: of the firmware. Default: "exact".
    """
    step, (state, arena) = plan.encoded["step"], step_memory(bundle, plan)
    flags = profile_flags(profile, int8=plan.plan_version > VERSION)
    said = run_emulated(CORES["M4F"], step, bytes(state), bytes(arena), flags=flags)
    if said.get("error", 1):
        sys.exit(f"{bundle.path}: the step of {plan.block} does not run: {said}")
    return StepCost(said["instructions"], plan.state_bytes, plan.arena_bytes, plan.lower_bound_bytes, len(step), said["stack"])


def step_memory(bundle: Bundle, plan: BlockPlan) -> tuple[bytearray, bytearray]:
    """State and arena before a step: the bundle's weights, a random sample of class LABEL, a learning rate of RATE."""
    spec, chance = bundle.manifest.block(plan.block), np.random.default_rng(0)
    state, arena = bytearray(plan.state_bytes), bytearray(plan.arena_bytes)
    plan.state.write(state, bundle.state(plan.block))
    for place in plan.graphs["step"].inputs:
        value = chance.standard_normal(place.tensor.shape)
        if place.tensor.name == "y":
            value = np.eye(spec.labels.shape[1])[[LABEL]]
        _put(arena, place, value if place.tensor.shape else np.array(RATE))
    return state, arena


def _put(region: bytearray, place: TensorPlace, value: object) -> None:
    data = np.ascontiguousarray(value, place.tensor.dtype).tobytes()
    region[place.offset : place.offset + len(data)] = data


def runtime_bytes(profile: str) -> tuple[int, int]:
    """Bytes of the runtime on a Cortex-M4F, as the firmware has it: of programs, and of scratch memory for data."""
    core, work = CORES["M4F"], "#include <edgebll_plan.h>\nchar work[sizeof(struct edgebll_work)];\n"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "work.c").write_text(work)
        sources = [*map(str, sorted(RUNTIME.glob("*.c"))), "work.c"]
        command = ["arm-none-eabi-gcc", *core.cpu, "-mthumb", *code_flags(profile), f"-I{RUNTIME}", "-c", *sources]
        subprocess.run(command, check=True, cwd=folder)
        objects = sorted(path.name for path in Path(folder).glob("*.o") if path.stem != "work")
        return sum(_size(folder, name)[0] for name in objects), _size(folder, "work.o")[2]


def _size(folder: str, name: str) -> list[int]:
    said = subprocess.run(["arm-none-eabi-size", name], check=True, cwd=folder, capture_output=True, text=True).stdout
    return [int(word) for word in said.splitlines()[1].split()[:3]]


def firmware_bytes(profile: str, *, int8: bool = False) -> tuple[int, int]:
    """Bytes of the whole firmware: of programs, and of memory for data that it takes from blocks, stack included."""
    with tempfile.TemporaryDirectory() as folder:
        made = build(find_board(REFERENCE_BOARD), Path(folder), FirmwareOptions(profile=profile, int8=int8))
    return made.flash_bytes, made.ram_bytes


def tools() -> str:
    """Compiler and emulator, which the figures depend on."""
    compiler = subprocess.run(["arm-none-eabi-gcc", "-dumpfullversion"], check=True, capture_output=True, text=True).stdout
    emulator = subprocess.run(["qemu-system-arm", "--version"], check=True, capture_output=True, text=True).stdout
    return f"GCC {compiler.strip()}, QEMU {emulator.split('version ')[1].split()[0]}"
