"""Commands that the documents show have the arguments and options that the programs take."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer.main
from support.documents import ROOT, Document

from edgebll.cli.app import app

PAGES = [path.relative_to(ROOT) for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))]
COMMANDS = [(page, words) for page in PAGES for words in Document(str(page)).commands() if words[0] == "edgebll"]


@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_commands_can_be_parsed(page: Path, words: list[str]) -> None:
    command, rest = typer.main.get_command(app), words[1:]
    while hasattr(command, "get_command"):
        inner = command.get_command(command.context_class(command), rest[0])
        assert inner is not None, f"there is no command {rest[0]}"
        command, rest = inner, rest[1:]
    command.make_context(" ".join(words[: len(words) - len(rest)]), rest)
