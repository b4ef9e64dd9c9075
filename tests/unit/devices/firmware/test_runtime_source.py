"""What the C runtime's source promises: portable, small, and clean to those who look for faults."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from support.c_runtime import FLAGS, RUNTIME
from support.c_sources import check_by_cppcheck, check_layout
from support.emulated_boards import CORES
from support.microcontroller_tools import emulated_boards

from edgebll.kernel.spec.firmware_profiles import PROFILES
from edgebll_devices.microcontroller.firmware_build import PROFILE_FLAGS

SOURCES = sorted(RUNTIME.glob("*.c"))
LIBRARY = RUNTIME.parent / "library"
M0PLUS = ("-mcpu=cortex-m0plus",)
#: Bytes of code on a Cortex-M4F, by profile, with int8 and without.
SIZE_BARS = {("small", False): 8_192, ("exact", True): 17_024, ("exact", False): 13_200, ("fast", False): 13_500}


def objects(cpu: tuple[str, ...], profile: str, int8: bool, folder: Path) -> list[str]:
    """The runtime as one object for each file."""
    found = []
    flags = [flag for flag in FLAGS if flag not in ("-Wconversion", "-ffp-contract=off", "-O2")]
    flags += ["-Os", *PROFILE_FLAGS[profile]]
    flags += [] if int8 else ["-DEDGEBLL_WITHOUT_INT8"]
    for source in SOURCES:
        found.append(str(folder / f"{source.stem}.o"))
        command = ["arm-none-eabi-gcc", *cpu, "-mthumb", *flags, "-ffunction-sections", "-c", str(source), "-o", found[-1]]
        subprocess.run(command, check=True)
    return found


@emulated_boards()
@pytest.mark.parametrize(
    "cpu", [pytest.param(M0PLUS, id="M0+", marks=pytest.mark.slow), pytest.param(CORES["M4F"].cpu, id="M4F")]
)
@pytest.mark.parametrize(("profile", "int8"), SIZE_BARS)
def test_it_compiles_without_a_word_and_needs_nothing(cpu: tuple[str, ...], profile: str, int8: bool, tmp_path: Path) -> None:
    made = objects(cpu, profile, int8, tmp_path)
    names = subprocess.run(["arm-none-eabi-nm", "-u", *made], check=True, capture_output=True, text=True).stdout
    wanted = {name for name in re.findall(r"U (\w+)", names) if not name.startswith(("edgebll_", "__aeabi_", "__gnu_thumb1_"))}
    assert wanted <= {"memcpy", "memmove", "memset", "memcmp"}
    sizes = subprocess.run(["arm-none-eabi-size", "-t", *made], check=True, capture_output=True, text=True).stdout
    text, data, bss = (int(number) for number in sizes.splitlines()[-1].split()[:3])
    assert (data, bss) == (0, 0), "the runtime keeps no static data"
    if cpu != M0PLUS:
        assert text <= SIZE_BARS[profile, int8]


@emulated_boards()
def test_only_fast_sums_use_vector_instructions(tmp_path: Path) -> None:
    for profile in PROFILES:
        flags = [flag for flag in FLAGS if flag not in ("-Wconversion", "-O2")] + ["-Os", *PROFILE_FLAGS[profile]]
        command = ["arm-none-eabi-gcc", *CORES["M55"].cpu, "-mthumb", *flags, "-S", str(RUNTIME / "sums_vector.c")]
        subprocess.run([*command, "-o", str(tmp_path / "sums.s")], check=True)
        found = re.findall(r"\tvfma\w*\.f32\tq", (tmp_path / "sums.s").read_text())
        assert (len(found) > 0) == (profile == "fast")


def test_no_heap_no_recursion_no_mathematical_library() -> None:
    text = "\n".join(source.read_text() for source in SOURCES)
    assert set(re.findall(r"#include <(\w+\.h)>", text)) <= {"stddef.h", "stdint.h", "string.h", "arm_mve.h"}
    assert not re.search(r"\b(malloc|calloc|realloc|free|alloca|setjmp|goto)\b", text)


def test_files_are_short_and_lines_fit() -> None:
    check_layout((*SOURCES, *RUNTIME.glob("*.h"), *LIBRARY.glob("*.[ch]")))


@pytest.mark.parametrize("folder", [RUNTIME, LIBRARY], ids=lambda folder: folder.name)
def test_cppcheck_finds_nothing(folder: Path) -> None:
    check_by_cppcheck(f"-I{RUNTIME}", folder)
