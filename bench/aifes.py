"""AIfES beside bench/microcontroller.py: a training step of the same MLP, by the same compiler on the same emulated processor.

    python bench/aifes.py AIfES_for_Arduino            (make bench-aifes AIFES=PATH)

AIfES is no part of edgebll; docs/how-to/compare-with-aifes.md says how to get it. Prints what bench/microcontroller.md has.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.emulated_boards import CORES, START
from support.microcontroller_tools import advice, missing_packages

from edgebll_devices.microcontroller.firmware_build import FLAGS

DRIVER = Path(__file__).with_suffix(".c")
MOMENTA = {"SGD": "0.0f", "momentum": "0.9f"}
#: Parts for other machines.
FOREIGN = ("avr_pgm", "cmsis")


def build(sources: Path, momentum: str, elf: Path) -> None:
    """Compile AIfES and the driver.

    Args:
        sources: the folder src of AIfES.
        momentum: of the optimiser, as C has it.
        elf: the program to write.
    """
    core = CORES["M4F"]
    files = [str(path) for path in sorted(sources.rglob("*.c")) if not any(word in str(path) for word in FOREIGN)]
    ours = [flag for flag in FLAGS if not flag.startswith(("-W", "-std"))]
    places = {"FLASH_ORG": core.flash, "RAM_ORG": 0x20000000, "RAM_BYTES": core.ram, "end": "bss_end"}
    link = ["-nostartfiles", "-specs=nano.specs", "-specs=nosys.specs", "-Wl,--gc-sections,--no-warn-rwx-segments"]
    link += [f"-Wl,-T,{START / 'flat.ld'}", *(f"-Wl,--defsym={name}={value}" for name, value in places.items()), "-lm"]
    command = ["arm-none-eabi-gcc", *core.cpu, "-mthumb", "-std=gnu99", *ours, "-w", f"-DMOMENTUM={momentum}"]
    subprocess.run([*command, f"-I{sources}", *files, str(DRIVER), "-o", str(elf), *link], check=True)


def measure(elf: Path) -> tuple[int, int, int]:
    """Instructions of a step, bytes of training memory, bytes of flash.

    Args:
        elf: the program.
    """
    core = CORES["M4F"]
    command = ["qemu-system-arm", "-M", core.machine, "-nographic", "-monitor", "none", "-serial", "none"]
    command += ["-icount", "shift=6,sleep=off", "-semihosting-config", "enable=on,target=native", "-kernel", str(elf)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    said = {name: int(value, 16) for name, value in (line.split("=") for line in (done.stdout + done.stderr).split())}
    sizes = subprocess.run(["arm-none-eabi-size", str(elf)], capture_output=True, text=True, check=True).stdout
    text, data = sizes.splitlines()[1].split()[:2]
    return round(said["ticks"] * core.tick_ns / 64), said["training"], int(text) + int(data)


def main(folder: str = "") -> int:
    """Measure both optimisers."""
    sources = Path(folder) / "src"
    if missing := missing_packages():
        print(advice(missing), file=sys.stderr)
        return 1
    if not (sources / "aifes.h").is_file():
        print(f"{sources} has no aifes.h; give the folder of AIfES: make bench-aifes AIFES=PATH", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        for name, momentum in MOMENTA.items():
            build(sources, momentum, Path(scratch) / "aifes.elf")
            instructions, training, flash = measure(Path(scratch) / "aifes.elf")
            print(f"| {name} | {instructions:,} | {training:,} | {flash:,} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
