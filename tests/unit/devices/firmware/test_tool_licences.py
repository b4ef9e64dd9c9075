"""What the firmware is built, run and checked with is named with its licence, and no source is anybody else's."""

from __future__ import annotations

import re

import pytest
from support.documents import ROOT
from support.microcontroller_tools import CPPCHECK, LIBRARY_PACKAGE, PROGRAMS

README = (ROOT / "devices" / "firmware" / "README.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| [^|]+\(`([\w-]+)`\) \| [^|]+ \| ([^|]+) \|$", README, re.MULTILINE))
#: What a file that came from elsewhere says of itself.
FOREIGN = re.compile(r"copyright|licen[cs]e|spdx|all rights reserved", re.IGNORECASE)


@pytest.mark.parametrize("package", [*PROGRAMS.values(), LIBRARY_PACKAGE, CPPCHECK, "pyserial"])
def test_every_tool_is_named_with_its_licence(package: str) -> None:
    assert re.search(r"GPL|BSD|MIT|Apache", ROWS[package])


def test_no_source_came_from_elsewhere() -> None:
    sources = [path for path in (ROOT / "devices" / "firmware").rglob("*") if path.suffix in (".c", ".h", ".ld")]
    assert len(sources) > 20
    assert [path.name for path in sources if FOREIGN.search(path.read_text("utf-8"))] == []
