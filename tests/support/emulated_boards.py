"""Runs plans on Cortex-M cores under QEMU, and counts instructions: no serial line and no drivers, only core and memory."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from support.c_runtime import RUNTIME

START = Path(__file__).parent / "emulated"
CFLAGS = (
    "-mthumb",
    "-std=c99",
    "-O2",
    "-ffp-contract=off",
    "-ffunction-sections",
    "-fdata-sections",
    "-Wall",
    "-Wextra",
    "-Werror",
)


#: An instruction takes 2^_SHIFT ns: then the 24 bits of SysTick count 40 million of them at 25 MHz, to the nearest three.
_SHIFT = 4


@dataclass(frozen=True)
class EmulatedCore:
    """A machine of QEMU.

    Args:
        machine: its name there.
        cpu: flags of the compiler.
        flash: where code begins.
        ram: size of the memory for data, in bytes.
        tick_ns: of SysTick.
    """

    machine: str
    cpu: tuple[str, ...]
    flash: int = 0
    ram: int = 4 << 20
    tick_ns: float = 40.0


M4F = EmulatedCore("mps2-an386", ("-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"))
CORES = {
    "M4F": M4F,
    "M3": EmulatedCore("mps2-an385", ("-mcpu=cortex-m3",)),
    "M7": EmulatedCore("mps2-an500", ("-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16")),
    "M55": EmulatedCore("mps3-an547", ("-mcpu=cortex-m55", "-mfloat-abi=hard"), ram=512 << 10, tick_ns=31.25),
    "STM32F405": EmulatedCore("netduinoplus2", M4F.cpu, flash=0x08000000, ram=128 << 10, tick_ns=1e3 / 168),
}


def _words(data: bytes) -> str:
    whole = data + bytes(-len(data) % 4) or bytes(4)
    return ", ".join(f"0x{int.from_bytes(whole[i : i + 4], 'little'):08x}u" for i in range(0, len(whole), 4))


def build(core: EmulatedCore, folder: str, job: str, flags: tuple[str, ...]) -> str:
    """The program that does a job, as an ELF file.

    Args:
        core: for which.
        folder: where to put it.
        job: what start.c includes.
        flags: further ones for the compiler.
    """
    (Path(folder) / "job.h").write_text(job)
    places = {"FLASH_ORG": core.flash, "RAM_ORG": 0x20000000, "RAM_BYTES": core.ram}
    link = ["-nostartfiles", "-specs=nano.specs", "-specs=nosys.specs", "-Wl,--gc-sections,--no-warn-rwx-segments"]
    link += [f"-Wl,-T,{START / 'flat.ld'}", *(f"-Wl,--defsym={name}={value:#x}" for name, value in places.items())]
    sources = [*map(str, sorted(RUNTIME.glob("*.c"))), str(START / "start.c")]
    elf = str(Path(folder) / "job.elf")
    subprocess.run(
        ["arm-none-eabi-gcc", *core.cpu, *CFLAGS, *flags, f"-I{folder}", f"-I{RUNTIME}", *sources, "-o", elf, *link], check=True
    )
    return elf


def run_emulated(
    core: EmulatedCore, plan: bytes, state: bytes, arena: bytes, *, times: int = 1, flags: tuple[str, ...] = ()
) -> dict[str, int]:
    """Run a plan; what the program says: error, CRC-32 of state and arena, instructions of the last run, bytes of stack.

    Args:
        core: where.
        plan: its bytes.
        state: before the first run.
        arena: likewise.
        times: runs, one after another. Default: 1.
        flags: further ones for the compiler. Default: none.
    """
    parts = zip(("PLAN", "STATE", "ARENA"), (plan, state, arena), strict=True)
    job = "".join(f"#define {name} {_words(data)}\n#define {name}_BYTES {len(data)}u\n" for name, data in parts)
    with tempfile.TemporaryDirectory() as folder:
        elf = build(core, folder, f"{job}#define TIMES {times}\n", flags)
        command = ["qemu-system-arm", "-M", core.machine, "-nographic", "-monitor", "none", "-serial", "none"]
        command += ["-icount", f"shift={_SHIFT},sleep=off"]
        command += ["-semihosting-config", "enable=on,target=native", "-kernel", elf]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    said = {name: int(value, 16) for name, value in (line.split("=") for line in (done.stdout + done.stderr).split())}
    said["instructions"] = round(said.get("ticks", 0) * core.tick_ns / 2**_SHIFT)
    return said
