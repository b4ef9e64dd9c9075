"""What emulating microcontrollers needs of this machine: QEMU and a compiler for ARM, of Debian's packages.

    python -m support.microcontroller_tools        (make mcu-tools; installs what is missing where that needs no password)

Tests that need them are skipped where they are missing, and say which package has them. Where EMULATED_BOARDS is "required",
as in `.ci/run`, they run none the less, and fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest

VARIABLE = "EMULATED_BOARDS"
#: Programs and the packages that have them.
PROGRAMS = {
    "qemu-system-arm": "qemu-system-arm",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
    "arm-none-eabi-nm": "binutils-arm-none-eabi",
}
#: What the compiler links with comes in a package of its own.
LIBRARY, LIBRARY_PACKAGE = "nano.specs", "libnewlib-arm-none-eabi"
#: Reads sources only: nothing is emulated with it, but its tests may not be passed over either.
CPPCHECK = "cppcheck"
_INSTALL_S = 900


def missing_packages(which: Callable[[str], str | None] = shutil.which) -> list[str]:
    """Packages that have to be installed before microcontrollers can be emulated, in order.

    Args:
        which: finds a program's path.
    """
    found = [package for program, package in PROGRAMS.items() if which(program) is None]
    compiler = which("arm-none-eabi-gcc")
    if compiler is None or not _has_library(compiler):
        found.append(LIBRARY_PACKAGE)
    return found


def _has_library(compiler: str) -> bool:
    """Whether the compiler knows where its library is: it says the name alone where it does not."""
    said = subprocess.run([compiler, f"-print-file-name={LIBRARY}"], capture_output=True, text=True, check=True).stdout
    return "/" in said


def advice(packages: list[str]) -> str:
    """One sentence: what is missing and how to get it."""
    return f"microcontrollers cannot be emulated here yet; install what is missing: sudo apt-get install {' '.join(packages)}"


def emulated_boards() -> pytest.MarkDecorator:
    """The mark of tests that need emulated microcontrollers."""
    missing = missing_packages()
    return pytest.mark.skipif(bool(missing) and os.environ.get(VARIABLE) != "required", reason=advice(missing))


def install(packages: list[str]) -> None:
    """Install packages.

    Raises:
        OSError, subprocess.SubprocessError: that did not work.
    """
    for words in (["update", "--quiet"], ["install", "--quiet", "--yes", "--no-install-recommends", *packages]):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", *words], check=True, env=environment, stdout=sys.stderr, timeout=_INSTALL_S)


def main() -> None:
    """Install what is missing, where this user may; what still is missing is told, and no error: the tests then say so."""
    wanted = missing_packages() + [CPPCHECK] * (shutil.which(CPPCHECK) is None)
    if wanted and os.geteuid() == 0 and shutil.which("apt-get") is not None:
        try:
            install(wanted)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"apt-get: {error}", file=sys.stderr)
    if missing := missing_packages():
        print(advice(missing), file=sys.stderr)


if __name__ == "__main__":
    main()
