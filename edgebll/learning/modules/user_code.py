"""Code of others that runs inside ours: what to say of its exceptions."""

from __future__ import annotations

import contextlib
import linecache
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import torch
from torch import nn

from edgebll.kernel.errors import ConfigError

_HOUSE = Path(__file__).parents[3]
#: In a checkout and in an installation.
_FOREIGN = tuple(map(str, [Path(torch.__file__).parent, *(_HOUSE / r for r in ("edgebll", "edgebll_export", "export"))]))


@contextlib.contextmanager
def in_block(name: str) -> Iterator[None]:
    """Name the block in what is refused inside.

    Raises:
        ConfigError: the same that was raised, with the name in front.
    """
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error


def described(error: BaseException) -> str:
    """Kind and first line of an exception."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}".rstrip(": ")


def user_line(error: BaseException) -> str | None:
    """Where in code that is not ours an exception was raised, see `site`; None if nowhere."""
    frames = [(f, line) for f, line in traceback.walk_tb(error.__traceback__) if is_theirs(f.f_code.co_filename)]
    return site(*frames[-1]) if frames else None


def site(frame: FrameType, line: int) -> str:
    """A line of code with its file, and its method if it is a module's, e.g. "in Net.forward, line 12 of net.py"."""
    where = f"line {line} of {Path(frame.f_code.co_filename).name}"
    owner = frame.f_locals.get("self")
    return f"in {type(owner).__name__}.{frame.f_code.co_name}, {where}" if isinstance(owner, nn.Module) else where


def is_theirs(filename: str) -> bool:
    """Whether a file is neither PyTorch's nor edgebll's nor a part of Python that runs others."""
    return bool(linecache.getline(filename, 1)) and not filename.startswith((*_FOREIGN, "<")) and "importlib" not in filename
