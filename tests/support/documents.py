"""Code and commands of Markdown documents, for tests that run what the documents show."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Document:
    """A Markdown file of this repository, by its path from the root."""

    def __init__(self, path: str) -> None:
        self.text = (ROOT / path).read_text(encoding="utf-8")
        self.folder = (ROOT / path).parent

    def fenced(self, language: str) -> list[str]:
        """The blocks fenced as ```language."""
        return re.findall(rf"```{language}[^\n]*\n(.*?)```", self.text, re.DOTALL)

    def commands(self) -> list[list[str]]:
        """Every line "$ ..." of the console blocks as a list of words, without its comment."""
        lines = [line for block in self.fenced("console") for line in block.splitlines() if line.startswith("$ ")]
        return [shlex.split(line[2:], comments=True) for line in lines]
