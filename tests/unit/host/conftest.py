"""A disk that a writer crashes on at any point, for tests of what is left there."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from support.damaged_files import Crash


@pytest.fixture
def crashing(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Crash at the n-th call that changes the disk for good: fsync or rename."""
    left = [-1]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise Crash
            return real(*arguments)

        return call

    monkeypatch.setattr(os, "fsync", counted(os.fsync))
    monkeypatch.setattr(os, "replace", counted(os.replace))
    return lambda count: left.__setitem__(0, count)
