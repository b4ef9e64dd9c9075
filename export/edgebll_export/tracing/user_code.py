"""Running code of others: its exceptions become one sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from edgebll.kernel.errors import EdgebllError, ExportError
from edgebll.learning.modules.user_code import described, user_line


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
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{type(error).__name__}: {error.msg} (line {error.lineno} of {Path(error.filename).name})"
    where = user_line(error)
    return f"{described(error)} ({where})" if where else described(error)
