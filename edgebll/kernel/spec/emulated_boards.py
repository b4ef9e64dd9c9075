"""Microcontrollers that can be emulated, by the names of their files beside the firmware; "host" is a process of this machine.

Hosts name them and boards emulate them, and neither knows the other: so the names are here, and what emulating needs. A file
that is missing here, or a name without a file, fails a test.
"""

from __future__ import annotations

import shutil

from edgebll.kernel.errors import MissingExtraError

HOST_BOARD = "host"
EMULATED = (HOST_BOARD, "mps2-an385", "mps2-an386", "mps3-an547", "stm32f405")
#: A Cortex-M4F.
DEFAULT_EMULATED = "mps2-an386"
#: Programs of which the first that is there is taken, and Debian's packages that have them.
COMPILERS, COMPILER_PACKAGES = ("cc", "gcc", "clang"), "gcc libc6-dev"
CROSS_COMPILERS, CROSS_PACKAGES = ("arm-none-eabi-gcc",), "gcc-arm-none-eabi libnewlib-arm-none-eabi"
QEMU, QEMU_PACKAGE = "qemu-system-arm", "qemu-system-arm"


def check_emulation(board: str) -> None:
    """See that a board can be emulated here, before anything is started or written.

    Args:
        board: one of EMULATED.

    Raises:
        MissingExtraError: programs are missing; names all of them with their packages.
    """
    cross = ((CROSS_COMPILERS, CROSS_PACKAGES), ((QEMU,), QEMU_PACKAGE))
    needed = cross if board != HOST_BOARD else ((COMPILERS, COMPILER_PACKAGES),)
    missing = [(names[0], packages) for names, packages in needed if not any(map(shutil.which, names))]
    if missing:
        programs, packages = " and ".join(name for name, _ in missing), " ".join(packages for _, packages in missing)
        raise MissingExtraError(f"emulating {board} needs {programs}; install what is missing: sudo apt-get install {packages}")
