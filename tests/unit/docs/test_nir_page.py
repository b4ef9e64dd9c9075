"""The table of platforms in the reference on NIR is the one that reports are made of."""

from __future__ import annotations

import re

from support.documents import Document

from edgebll_export.nir.fidelity.platforms import PLATFORMS
from edgebll_export.nir.primitives import PRIMITIVES


def test_the_table_of_platforms_is_the_programs() -> None:
    text = Document("docs/reference/nir.md").text
    rows = [
        tuple(cell.strip() for cell in row)
        for row in re.findall(r"^\| ([^|]+)\| ([^|]+)\| ([^|]+)\|[^|]*\|$", text, re.MULTILINE)
    ]
    told = {row[0]: row[1:] for row in rows}
    for platform in PLATFORMS:
        assert told[platform.name] == (platform.through, ", ".join(platform.primitives))


def test_every_primitive_has_its_row() -> None:
    section = Document("docs/reference/nir.md").text.partition("## Primitives")[2].partition("## Simulators")[0]
    named = set(
        re.findall(r"\b[A-Z][A-Za-z0-9]*\b", "\n".join(line.split("|")[1] for line in section.splitlines() if "|" in line))
    )
    assert named >= set(PRIMITIVES) - {"Input", "Output"}
