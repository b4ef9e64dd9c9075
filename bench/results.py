"""bench/RESULTS.md: every benchmark owns one section of it, between two markers, and replaces only that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from edgebll.learning.reproduce.machine import machine

__all__ = ["RESULTS", "machine", "table", "write_section"]

RESULTS = Path(__file__).parent / "RESULTS.md"


def write_section(name: str, text: str, path: Path = RESULTS) -> None:
    """Put `text` (Markdown) in place of the section `name`, or at the end of the file where there is none yet."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    section = f"{begin}\n{text.strip()}\n{end}"
    old = path.read_text("utf-8") if path.exists() else "# Benchmark results\n\nWritten by the scripts of this folder.\n"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    new = pattern.sub(lambda _: section, old) if pattern.search(old) else f"{old.rstrip()}\n\n{section}\n"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(new, "utf-8")
    temporary.replace(path)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right."""
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join("---" if i < 2 else "---:" for i in range(len(header))) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
