"""The drawings beside the pages are those their scripts make, are well-formed, and load nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from support.documents import ROOT

FOLDER = ROOT / "docs" / "drawings"
WRITTEN = sorted(FOLDER.glob("*.svg"))


def test_they_are_what_their_scripts_make() -> None:
    """In a process of its own: the scripts import each other by bare names."""
    code = "import json, draw; print(json.dumps({name: make() for name, make in draw.DRAWINGS.items()}))"
    made = subprocess.run([sys.executable, "-c", code], cwd=FOLDER, capture_output=True, text=True, check=True)
    drawings = {f"{name}.svg": text for name, text in json.loads(made.stdout).items()}
    assert drawings == {path.name: path.read_text("utf-8") for path in WRITTEN}, "run `make drawings`"


def test_there_are_at_least_three_and_each_is_shown_on_a_page() -> None:
    shown = {
        match
        for page in (ROOT / "docs").rglob("*.md")
        for match in re.findall(r"!\[[^\]]+\]\(([^)]+\.svg)\)", page.read_text())
    }
    assert len(WRITTEN) >= 3
    assert {path.name for path in WRITTEN} == {Path(name).name for name in shown}


def test_they_say_what_they_show_and_load_nothing() -> None:
    for path in WRITTEN:
        root = ET.fromstring(path.read_text("utf-8"))
        assert [child.tag.split("}")[1] for child in root][:2] == ["title", "desc"]
        assert not re.search(r"(?:href|src|url)\W*https?:", path.read_text("utf-8"))


def test_all_words_lie_inside() -> None:
    """By the width that a letter has at most on average, in the widest font of the style sheet."""
    for path in WRITTEN:
        for text in ET.fromstring(path.read_text("utf-8")).iter("{http://www.w3.org/2000/svg}text"):
            look, x, said = text.get("class", ""), float(text.get("x", "0")), text.text or ""
            width = len(said) * (7.3 if "mono" in look else 6.4 if "small" in look else 8.4)
            left = {"start": x, "middle": x - width / 2, "end": x - width}[text.get("text-anchor", "start")]
            assert left >= 8, (path.name, said)
            assert left + width <= 472, (path.name, said)
