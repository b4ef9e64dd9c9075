"""The page on inventories has every key that is read, and no other."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from edgebll.kernel.spec.board_speeds import load_speeds
from edgebll_firmware_host.inventory import BoardEntry, HostEntry
from edgebll_firmware_host.link_entry import LinkEntry
from edgebll_firmware_host.policy.calibration import BoardMeasured, Calibration, LinkMeasured, RateMeasured, StepMeasured

PAGE = (Path(__file__).parents[3] / "docs/reference/inventory.md").read_text("utf-8")
TABLES = {"`[[board]]`": BoardMeasured, "`[[rate]]`": RateMeasured, "`[[step]]`": StepMeasured, "`[[link]]`": LinkMeasured}


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def first_column(text: str) -> set[str]:
    return {name for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)}


def test_the_inventory_has_these_keys() -> None:
    told = section("cluster.toml")
    assert first_column(told) == {one.name for kind in (BoardEntry, LinkEntry) for one in fields(kind)}
    assert all(f"`{one.name}`" in told for one in fields(HostEntry))


def test_every_profile_is_listed() -> None:
    assert first_column(section("Profiles of speed")) - {"profile"} == load_speeds().keys()


@pytest.mark.parametrize("table", TABLES)
def test_a_calibration_has_these_keys(table: str) -> None:
    (row,) = (line for line in section("calibration.toml").splitlines() if line.startswith(f"| {table} |"))
    assert re.findall(r"`(\w+)`", row) == [one.name for one in fields(TABLES[table])]


def test_and_these_tables() -> None:
    names = {one.name for one in fields(Calibration)}
    assert {name.strip("`[]") for name in TABLES} == names - {"date", "conditions", "release"}
