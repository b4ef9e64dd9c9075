"""CONTRIBUTING.md shows commands that are there, and links to files that exist."""

from __future__ import annotations

import re

from support.documents import ROOT, Document

PAGE = Document("CONTRIBUTING.md")


def test_make_has_the_targets() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = {words[1] for words in PAGE.commands() if words[0] == "make"} | set(re.findall(r"`make ([a-z-]+)", PAGE.text))
    assert {"setup", "lint", "test", "docs", "drawings"} <= targets
    assert [name for name in targets if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


def test_some_tests_are_tests() -> None:
    ((path, _, word),) = [words[1:] for words in PAGE.commands() if words[0].endswith("/pytest")]
    assert re.search(rf"^def test_\w*{word}", (ROOT / path).read_text("utf-8"), re.MULTILINE)


def test_links_lead_somewhere() -> None:
    assert [link for link in re.findall(r"\]\(([^)]+)\)", PAGE.text) if not (ROOT / link).exists()] == []


def test_subjects_and_continuous_integration_are_as_said() -> None:
    assert "make docs" in (ROOT / ".ci" / "run").read_text("utf-8")
    assert "at most 72 characters" in PAGE.text
