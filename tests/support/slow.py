"""Cases that `make test` leaves to `make test-more`, or both to `make test-wide`: they seldom find what the others do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from _pytest.mark import ParameterSet


def slow_after(quick: int, cases: Iterable[Any], wide: Callable[..., bool] | None = None) -> list[ParameterSet]:
    """Cases for `parametrize`; all after the first `quick` are marked slow, or wide where `wide(*case)` says so."""
    sets = [ParameterSet.extract_from(case, force_tuple=not isinstance(case, tuple)) for case in cases]
    return [
        each
        if index < quick
        else pytest.param(
            *each.values, id=each.id, marks=[*each.marks, pytest.mark.wide if wide and wide(*each.values) else pytest.mark.slow]
        )
        for index, each in enumerate(sets)
    ]
