"""What to say of an exception of a user's own code: its kind, its first line, and the line of theirs it came from."""

from __future__ import annotations

import functools
import linecache
import sys
import traceback
from pathlib import Path
from types import FrameType

_HOUSE = Path(__file__).parents[3]
#: In a checkout and in an installation.
_OURS = tuple(str(_HOUSE / room) for room in ("edgebll", "edgebll_export", "export"))


def described(error: BaseException) -> str:
    """Kind and first line of an exception."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}".rstrip(": ")


def summary(error: BaseException) -> str:
    """Kind, first line and place of an exception, e.g. "KeyError: 'x' (line 12 of train.py)"."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{type(error).__name__}: {error.msg} (line {error.lineno} of {Path(error.filename).name})"
    where = user_line(error)
    return f"{described(error)} ({where})" if where else described(error)


def user_line(error: BaseException) -> str | None:
    """Where in code that is not ours an exception was raised, see `site`; None if nowhere."""
    frames = [(f, line) for f, line in traceback.walk_tb(error.__traceback__) if is_theirs(f.f_code.co_filename)]
    return site(*frames[-1]) if frames else None


def site(frame: FrameType, line: int) -> str:
    """A line of code with its file, and its method if it is a module's, e.g. "in Net.forward, line 12 of net.py"."""
    where = f"line {line} of {Path(frame.f_code.co_filename).name}"
    owner, torch = frame.f_locals.get("self"), sys.modules.get("torch")
    is_module = torch is not None and isinstance(owner, torch.nn.Module)
    return f"in {type(owner).__name__}.{frame.f_code.co_name}, {where}" if is_module else where


def is_theirs(filename: str) -> bool:
    """Whether a file is neither PyTorch's nor edgebll's nor a part of Python that runs others."""
    torch = sys.modules.get("torch")  # code that needs it has imported it by now
    return not _is_foreign(filename, getattr(torch, "__file__", None)) and bool(linecache.getline(filename, 1))


@functools.cache  # tracing asks of every frame of every operator
def _is_foreign(filename: str, torch: str | None) -> bool:
    """Whether a file's name alone tells that it is not the user's; `torch` is PyTorch's first file, where it is imported."""
    rooms = _OURS if torch is None else (*_OURS, str(Path(torch).parent))
    return filename.startswith((*rooms, "<")) or "importlib" in filename
