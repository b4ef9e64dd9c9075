"""`python no_hard_links.py ERROR COMMAND...`: runs a command for which the kernel makes no hard links, as on some file systems.

Such a file system needs a mount helper, so a seccomp filter refuses as one would: vfat says EPERM, others EOPNOTSUPP.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from pathlib import Path

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF: ld [k], jeq #k, ret #k
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
#: Numbers of link and linkat; other architectures are not known here.
NUMBERS = {"x86_64": (86, 265), "aarch64": (37, 37)}


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def prefix(error: int = errno.EPERM) -> tuple[str, ...]:
    """Of a command, one that becomes it. `error`: what is said of links."""
    return sys.executable, str(Path(__file__)), str(error)


def why_not() -> str | None:
    """Why the kernel makes hard links all the same, or None."""
    return None if platform.machine() in NUMBERS else f"the numbers of system calls of {platform.machine()} are not known here"


def _refuse_links(error: int) -> None:
    link, linkat = NUMBERS[platform.machine()]
    lines = [(_LOAD, 0, 0, 0), (_EQUAL, 1, 0, link), (_EQUAL, 0, 1, linkat), (_RETURN, 0, 0, _ERROR | error)]
    code = b"".join(struct.pack("HBBI", *line) for line in [*lines, (_RETURN, 0, 0, _ALLOW)])
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(code) // 8, code)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    _refuse_links(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
