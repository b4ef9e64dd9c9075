"""What a process does once at a time: tracing and comparing change settings of PyTorch that all threads share."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")
_ALONE = threading.RLock()


def one_at_a_time(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """A function that waits while another thread is in one of these.

    Args:
        function: it; one of these may call another.
    """

    @functools.wraps(function)
    def alone(*args: _P.args, **options: _P.kwargs) -> _R:
        with _ALONE:
            return function(*args, **options)

    return alone
