"""Each argument in a docstring has a description of its own: one sentence for several tells nothing of any of them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = ("edgebll", "export/edgebll_export", "devices/edgebll_devices", "firmware_host/edgebll_firmware_host")
_SECTION = re.compile(r"( *)(?:Args|Attributes):\s*\n((?:\1    .*\n)+)")


def descriptions(text: str) -> Iterator[list[tuple[str, str]]]:
    """For each list of arguments in a source file, (name, description) in order."""
    for indent, body in _SECTION.findall(text):
        entries: list[tuple[str, str]] = []
        for line in body.splitlines():
            entry = re.fullmatch(rf"{indent}    (\*{{0,2}}\w+): (.*)", line)
            if entry:
                entries.append((entry[1], entry[2].strip()))
            elif entries:
                entries[-1] = (entries[-1][0], f"{entries[-1][1]} {line.strip()}")
        yield entries


def repeated(text: str) -> list[tuple[str, str]]:
    """Neighbours with the same description."""
    return [
        (one, other)
        for entries in descriptions(text)
        for (one, first), (other, second) in itertools.pairwise(entries)
        if first == second
    ]


def test_repeated_descriptions_are_found() -> None:
    found = repeated(
        '    Args:\n        x: of the\n            block.\n        y: of the block.\n        z: another.\n    """\n'
    )
    assert found == [("x", "y")]


@pytest.mark.parametrize("folder", SOURCES)
def test_no_two_neighbours_share_a_description(folder: str) -> None:
    found = {str(path): pairs for path in sorted((ROOT / folder).rglob("*.py")) if (pairs := repeated(path.read_text("utf-8")))}
    assert not found
