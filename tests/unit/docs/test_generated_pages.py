"""The pages that `make docs` writes from the code have all of it; mkdocs itself checks links, anchors and docstrings."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.documents import ROOT, Document

import edgebll
import edgebll_export
from edgebll import learning
from edgebll.cli.command_table import COMMANDS

_MAKE = """
import json, api_pages, claims_page, commands_page
text = "Held [R1], not `[R2]` nor [R3](x.md)."
pages = {"commands": commands_page.commands_page(), "claims": claims_page.claims_page(), **api_pages.api_pages()}
print(json.dumps({**pages, "linked": claims_page.linked(text, "explanation/reliability.md", {"R1": []})}))
"""


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """All of them, made in a process of its own: the scripts import each other by bare names."""
    folder = ROOT / "docs" / "generator"
    made = subprocess.run([sys.executable, "-c", _MAKE], cwd=folder, capture_output=True, text=True, check=True)
    result: dict[str, str] = json.loads(made.stdout)
    return result


def test_every_command_has_a_section_with_its_usage(pages: dict[str, str]) -> None:
    sections = re.findall(r"^### (edgebll(?:-board)? .+)$", pages["commands"], re.MULTILINE)
    assert {row.name for row in COMMANDS} <= {name.split()[1] for name in sections}
    assert {"edgebll keys rotate", "edgebll cluster drain", "edgebll-board serve"} <= set(sections)
    for name in sections:
        assert re.search(rf"^### {name}\n.*?^{name}", pages["commands"], re.MULTILINE | re.DOTALL), name
    assert "| `--snapshot-every" in pages["commands"]


@pytest.mark.parametrize("package", [edgebll_export, learning, edgebll], ids=lambda package: package.__name__)
def test_every_public_name_is_shown(package: Any, pages: dict[str, str]) -> None:
    page = pages[f"{package.__name__}.md"]
    found = re.findall(r"^      heading: (\w+)$|^\| `(\w+)` \||\[`(\w+)`\]\(", page, re.MULTILINE)
    assert sorted(filter(None, (name for names in found for name in names))) == sorted(package.__all__)


def test_every_claim_is_in_the_table(pages: dict[str, str]) -> None:
    marks = re.findall(r"^([A-Z]\d+) = ", (ROOT / "docs" / "claims.toml").read_text("utf-8"), re.MULTILINE)
    assert re.findall(r'<span id="([a-z]\d+)">', pages["claims"]) == [mark.lower() for mark in marks]


def test_only_marks_become_links(pages: dict[str, str]) -> None:
    expected = "Held <sup>[R1](../reference/claims.md#r1)</sup>, not `[R2]` nor [R3](x.md)."
    assert pages["linked"] == expected


def test_the_site_loads_nothing_from_elsewhere() -> None:
    settings = Document("mkdocs.yml").text
    assert "font: false" in settings
    assert "http" not in settings
    assert "strict: true" in settings


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.stem)
def test_a_fence_says_its_language_and_title_as_the_site_reads_them(page: Path) -> None:
    """Anything else there, and the block is no code any more but a paragraph."""
    heads = re.findall(r"^```(.*)$", page.read_text("utf-8"), re.MULTILINE)
    assert [head for head in heads if not re.fullmatch(r'(?:[a-z+]+(?: title="[^"]+")?)?', head)] == []
