"""How many threads a command takes by default."""

import pytest

from edgebll.kernel.limits import default_threads, usable_cores


@pytest.mark.parametrize("limit", ["", "0", "many", "\u00b2", "100000"])
def test_without_a_limit_all_usable_cores_are_taken(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", limit)
    assert default_threads() == usable_cores()


def test_openmp_s_limit_holds_for_commands_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebll.kernel.limits.processors.usable_cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert default_threads() == 3
