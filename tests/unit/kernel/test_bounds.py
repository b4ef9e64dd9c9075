"""Numbers within bounds: the same check, and the same sentence, wherever a number comes from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support import bounds
from edgebll.kernel.support.bounds import Bounds, WrongValue, spelled_as_options
from edgebll_firmware_host.inventory import BoardEntry, HostEntry
from edgebll_firmware_host.run.run_spec import SimulateSpec

SECONDS = Bounds("seconds", 1.0, 1e6, note="two heartbeats")


@pytest.mark.parametrize(
    ("numbers", "inside", "outside"),
    [
        (SECONDS, (1.0, 10, 999_999.9), (0.99, 1e6, -1, math.nan, math.inf)),
        (Bounds("", 0.0, above=True), (1e-9, 1e300, math.inf), (0, -1, math.nan)),
        (Bounds("", 1), (1, 10**9), (0, -5, math.nan)),
        (Bounds("", 1, far=1 << 31), (1, (1 << 31) - 1), (0, 1 << 31, 10**20, 10**400, math.inf, math.nan)),
    ],
)
def test_ends_are_as_they_say(numbers: Bounds, inside: tuple[float, ...], outside: tuple[float, ...]) -> None:
    for value in inside:
        numbers.check("number", value)
    for value in outside:
        with pytest.raises(WrongValue, match="number must be"):
            numbers.check("number", value)


def test_what_counts_things_is_whole() -> None:
    whole: list[Any] = [1, np.int64(3), 1 << 20]
    odd: list[Any] = [2.5, 2.0, math.nan, True, "2", None]
    for value in whole:
        bounds.COUNT.check("number", value)
    for value in odd:
        for counts in (bounds.COUNT, bounds.WINDOW, bounds.NOT_NEGATIVE, bounds.KEEP_SNAPSHOTS, bounds.LOCAL_BOARDS):
            with pytest.raises(WrongValue, match=f"^number must be a whole number, not {value!r}$"):
                counts.check("number", value)


def test_a_sentence_says_what_was_expected_and_what_came() -> None:
    with pytest.raises(ConfigError) as caught:
        SECONDS.check("deadline", 0.5)
    assert (
        str(caught.value) == "deadline must be a number of seconds, at least 1 (two heartbeats) and less than 1000000, not 0.5"
    )
    with pytest.raises(ConfigError, match=r"^--snapshot-seconds must be above 0, not -2$"), spelled_as_options():
        Bounds("", 0, above=True).check("snapshot_seconds", -2)
    with pytest.raises(ConfigError, match=r"^the number of steps must be less than 100, not 1e\+300$"), spelled_as_options():
        Bounds("", 0, far=100).check("the number of steps", 1e300)
    with pytest.raises(ConfigError, match=r"^steps must be less than 100, not one of very many digits$"):
        Bounds("", 0, far=100).check("steps", 10**5000)


@pytest.mark.parametrize("value", [0.5, 1e6, math.nan])
def test_files_commands_and_python_refuse_the_same_numbers(value: float, tmp_path: Path) -> None:
    rest = f"must be {bounds.DEADLINE}, not {bounds._number(value)}"
    for make, name in ((lambda: SimulateSpec(deadline=value), "deadline"), (lambda: HostEntry(deadline_s=value), "deadline_s")):
        with pytest.raises(ConfigError) as caught:
            make()
        assert str(caught.value) == f"{name} {rest}"
    line = ["simulate", str(tmp_path), "--out", str(tmp_path / "run"), "--deadline", str(value)]
    result = CliRunner().invoke(app, line)
    assert (result.exit_code, result.stderr.strip()) == (2, f"edgebll: --deadline {rest}")


def test_a_board_of_an_inventory_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^board a: threads must be at least 1 and less than 1025, not 2000$"):
        BoardEntry("a", "tcp://127.0.0.1:1", threads=2000)
