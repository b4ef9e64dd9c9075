"""A process with so many files open that what it opens next has a descriptor that select() does not know."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator

import pytest

#: From here on select() refuses.
SELECT_LIMIT = 1024


@contextlib.contextmanager
def many_descriptors() -> Iterator[None]:
    """Hold all descriptors below SELECT_LIMIT; skips where this user may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * SELECT_LIMIT
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this user may open {hard} files, and this needs {wanted}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    held = [os.open(os.devnull, os.O_RDONLY)]
    try:
        while held[-1] < SELECT_LIMIT:
            held.append(os.dup(held[0]))
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
