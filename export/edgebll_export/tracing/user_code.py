"""Running code of others: its exceptions become one sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from edgebll.kernel.errors import EdgebllError, ExportError
from edgebll.kernel.own_code.error_place import summary


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
