"""AIfES beside bench/microcontroller.py: steps of the same networks, by the same compiler on the same emulated processor.

    python bench/aifes.py AIfES_for_Arduino            (make bench-aifes AIFES=PATH)

AIfES is no part of edgebll; docs/how-to/compare-with-aifes.md says how to get it. Writes bench/aifes.json, from which
bench/microcontroller.py takes the figures. Both sides are held to PyTorch's steps first.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from aifes_steps import BAR, Case, case_of, distance, given, in_our_layout, train, weights
from support.emulated_boards import CORES, START
from support.microcontroller_tools import advice, missing_packages
from support.step_costs import MOMENTA, tools

SOURCES, FIGURES = Path(__file__).with_suffix(""), Path(__file__).with_suffix(".json")
#: Networks, and the shape of a sample as AIfES has it: channels first.
NETWORKS = {"mlp": (1, 64), "cnn": (1, 1, 16, 16)}
#: Parts for other machines.
FOREIGN = ("avr_pgm", "cmsis")
#: AIfES is compiled for speed, without regard to size, and without changing results.
FLAGS = ("-std=gnu99", "-O2", "-fno-math-errno", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections", "-w")
#: 2^4 ns an instruction, so that the 24 bits of the timer count forty million of them.
SHIFT = 4
#: AIfES's exp, after Schraudolph 1999, is off by up to 4 %.
SOFTMAX_BAR = 0.08


@dataclass(frozen=True)
class PeerCost:
    """What a step takes in AIfES.

    Attributes:
        instructions: on a Cortex-M4F.
        weight_bytes: of memory for weights.
        training_bytes: of memory for training: activations, gradients, moments.
        flash_bytes: of the program, without the weights it begins with.
        softmax_error: of its probabilities, at the most, as a share.
    """

    instructions: int
    weight_bytes: int
    training_bytes: int
    flash_bytes: int
    softmax_error: float


def measure(sources: Path, network: str, optimizer: str) -> PeerCost:
    """Build AIfES with a network, train, and compare.

    Args:
        sources: the folder src of AIfES.
        network: of NETWORKS.
        optimizer: of MOMENTA.
    """
    case = case_of(network, optimizer)
    with tempfile.TemporaryDirectory() as scratch:
        elf = Path(scratch) / "aifes.elf"
        (Path(scratch) / "given.h").write_text(given(case, NETWORKS[network]), "utf-8")
        build(sources, network, Path(scratch), elf)
        said = run(elf)
        sizes = subprocess.run(["arm-none-eabi-size", str(elf)], capture_output=True, text=True, check=True).stdout
    text, data = map(int, sizes.splitlines()[1].split()[:2])
    start = 4 * (case.x.numel() + sum(value.size for value in weights(case.module)))
    instructions = round(said["ticks"][-1] * CORES["M4F"].tick_ns / 2**SHIFT)
    off = softmax_error(f"{network}, {optimizer}", case, said)
    return PeerCost(instructions, said["parameters"][0], said["training"][0], text + data - start, off)


def build(sources: Path, network: str, folder: Path, elf: Path) -> None:
    """Compile AIfES and the driver.

    Args:
        sources: the folder src of AIfES.
        network: of NETWORKS.
        folder: with given.h.
        elf: the program to write.
    """
    core = CORES["M4F"]
    files = [str(path) for path in sorted(sources.rglob("*.c")) if not any(word in str(path) for word in FOREIGN)]
    files += [str(SOURCES / "training.c"), str(SOURCES / f"{network}.c")]
    places = {"FLASH_ORG": core.flash, "RAM_ORG": 0x20000000, "RAM_BYTES": core.ram, "end": "bss_end"}
    link = ["-nostartfiles", "-specs=nano.specs", "-specs=nosys.specs", "-Wl,--gc-sections,--no-warn-rwx-segments"]
    link += [f"-Wl,-T,{START / 'flat.ld'}", *(f"-Wl,--defsym={name}={value}" for name, value in places.items()), "-lm"]
    command = ["arm-none-eabi-gcc", *core.cpu, "-mthumb", *FLAGS, f"-I{folder}", f"-I{sources}"]
    subprocess.run([*command, *files, "-o", str(elf), *link], check=True)


def run(elf: Path) -> dict[str, list[int]]:
    """What the program says, word by word.

    Args:
        elf: the program.
    """
    command = ["qemu-system-arm", "-M", CORES["M4F"].machine, "-nographic", "-monitor", "none", "-serial", "none"]
    command += ["-icount", f"shift={SHIFT},sleep=off", "-semihosting-config", "enable=on,target=native", "-kernel", str(elf)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    said: dict[str, list[int]] = {}
    for line in (done.stdout + done.stderr).split():
        name, value = line.split("=")
        said.setdefault(name, []).append(int(value, 16))
    return said


def softmax_error(name: str, case: Case, said: dict[str, list[int]]) -> float:
    """How far AIfES's probabilities are from the softmax; ends the program where either side trains otherwise than PyTorch.

    AIfES has an exp of its own that is quick and off by some percent, so PyTorch's backward pass begins with its probabilities.

    Args:
        name: of the case.
        case: the steps.
        said: by the program.
    """
    words, probabilities = (np.array(said[each], np.uint32).view(np.float32) for each in ("parameter", "probability"))
    probabilities, before = probabilities.reshape(len(said["ticks"]), -1), weights(case.module)
    theirs, true = train(case, probabilities)
    ours, _ = train(case)
    apart = distance(before, theirs, in_our_layout(words, before))
    own = distance(before, ours, case.ours)
    error = float(np.abs(probabilities / true - 1).max())
    print(f"{name}: off from PyTorch's steps by {apart:.1e} (edgebll {own:.1e}), softmax by {error:.1%}", flush=True)
    if max(apart, own) > BAR or error > SOFTMAX_BAR:
        sys.exit(f"{name}: not the same training as PyTorch's, so the figures would say nothing")
    return error


def main(folder: str = "") -> int:
    """Measure both networks with both optimisers."""
    sources = Path(folder) / "src"
    if missing := missing_packages():
        print(advice(missing), file=sys.stderr)
        return 1
    if not (sources / "aifes.h").is_file():
        print(f"{sources} has no aifes.h; give the folder of AIfES: make bench-aifes AIFES=PATH", file=sys.stderr)
        return 1
    costs = {f"{network}-{optimizer}": measure(sources, network, optimizer) for network in NETWORKS for optimizer in MOMENTA}
    print("| network, optimiser | instructions | weights | training | flash |")
    for name, cost in costs.items():
        numbers = (cost.instructions, cost.weight_bytes, cost.training_bytes, cost.flash_bytes)
        print(f"| {name} | " + " | ".join(f"{number:,}" for number in numbers) + " |")
    figures = {"tools": tools(), "steps": {name: asdict(cost) for name, cost in costs.items()}}
    FIGURES.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
