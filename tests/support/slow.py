"""Cases that `make test` leaves to `make test-more`: they take seconds, and seldom find what the others do not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from _pytest.mark import ParameterSet


def slow_after(quick: int, cases: Iterable[Any]) -> list[ParameterSet]:
    """Cases for `parametrize`; all after the first `quick` are marked slow."""
    sets = [ParameterSet.extract_from(case, force_tuple=not isinstance(case, tuple)) for case in cases]
    return [
        each if index < quick else pytest.param(*each.values, id=each.id, marks=[*each.marks, pytest.mark.slow])
        for index, each in enumerate(sets)
    ]
