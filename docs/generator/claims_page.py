"""Marks such as R12: the table of the tests that hold what stands before them, and links to it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CLAIMS = Path(__file__).parents[1] / "claims.toml"
MARK = re.compile(r"\[([A-Z][0-9]+)\](?![(\[:])")

_HEAD = """# Claims and their tests

The pages [What a run survives](../explanation/reliability.md) and [Security](../explanation/security.md) put a mark behind
everything they promise. Here is what stands behind each mark: tests, which fail when the promise is broken. The table is
`docs/claims.toml`; a test holds that every mark is in it, that every entry is used, and that every named test exists.
"""


def claims() -> dict[str, dict[str, list[str]]]:
    """Page below docs/ -> mark -> ids of tests."""
    found: dict[str, dict[str, list[str]]] = tomllib.loads(CLAIMS.read_text("utf-8"))
    return found


def linked(markdown: str, page: str, marks: dict[str, list[str]]) -> str:
    """A page whose marks are links into the table."""
    up = "../" * page.count("/")

    def link(match: re.Match[str]) -> str:
        mark = match[1]
        return f"<sup>[{mark}]({up}reference/claims.md#{mark.lower()})</sup>" if mark in marks else match[0]

    return MARK.sub(link, markdown)


def claims_page() -> str:
    """The page's Markdown."""
    parts = [_HEAD]
    for page, marks in claims().items():
        parts += [f"## [{page.split('/')[-1].removesuffix('.md').capitalize()}](../{page})", "", "| | |", "|---|---|"]
        for mark, tests in marks.items():
            listed = "<br>".join(f"`{test.removeprefix('tests/').replace('::', ' :: ')}`" for test in tests)
            parts.append(f'| <span id="{mark.lower()}">{mark}</span> | {listed} |')
        parts.append("")
    return "\n".join(parts)
