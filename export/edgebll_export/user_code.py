"""Running code of others: its exceptions become one sentence, and traced operators remember its lines."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch.fx.traceback as fx_traceback
from torch.overrides import TorchFunctionMode

from edgebll.errors import EdgebllError, ExportError
from edgebll_export.trace import LINE

_FOREIGN = (str(Path(torch.__file__).parent), str(Path(__file__).parent))


@contextlib.contextmanager
def running(what: str) -> Iterator[None]:
    """Turn an exception of the code inside into an ExportError: `what`, the exception and its line.

    Raises:
        ExportError: any exception but those of edgebll, which pass.
    """
    try:
        yield
    except EdgebllError:
        raise
    except (Exception, SystemExit) as error:
        raise ExportError(f"{what}: {summary(error)}") from error


def summary(error: BaseException) -> str:
    """Kind, first line and place of an exception, e.g. "KeyError: 'x' (line 12 of train.py)"."""
    lines = str(error).strip().splitlines() or [""]
    text = f"{type(error).__name__}: {lines[0]}".rstrip(": ")
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{type(error).__name__}: {error.msg} (line {error.lineno} of {Path(error.filename).name})"
    theirs = [entry for entry in traceback.extract_tb(error.__traceback__) if _is_theirs(entry.filename)]
    return f"{text} (line {theirs[-1].lineno} of {Path(theirs[-1].filename).name})" if theirs else text


@contextlib.contextmanager
def marked_lines() -> Iterator[None]:
    """While open, every operator traced is annotated with the line of code that called it."""
    with _Marking():
        yield


class _Marking(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        line = _calling_line(sys._getframe(1))
        with fx_traceback.annotate({LINE: line}) if line else contextlib.nullcontext():
            return func(*args, **(kwargs or {}))


def _calling_line(frame: FrameType | None) -> str | None:
    while frame is not None:
        if _is_theirs(frame.f_code.co_filename):
            return f"line {frame.f_lineno} of {Path(frame.f_code.co_filename).name}"
        frame = frame.f_back
    return None


def _is_theirs(filename: str) -> bool:
    return not filename.startswith((*_FOREIGN, "<")) and "importlib" not in filename
