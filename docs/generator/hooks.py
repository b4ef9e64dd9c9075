"""What mkdocs asks of us while it builds the site: pages that are written from the code, and links that lead out of docs/."""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from api_pages import api_pages
from claims_page import claims, claims_page, linked
from commands_page import commands_page
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
#: Files of the repository that are pages of the site too.
ALSO_PAGES = {
    "bench/RESULTS.md": "reference/measured.md",
    "CHANGELOG.md": "reference/changes.md",
    "CONTRIBUTING.md": "contributing.md",
}
#: Of pages in a folder, those that come before the others.
_FIRST = ("index.md", "laptop.md", "own-network.md")
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_FROM_ELSEWHERE = re.compile(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"?(?:https?:)?//[^>]*>")


def generated() -> dict[str, str]:
    """Page below docs/ -> Markdown."""
    pages = {"reference/commands.md": commands_page(), "reference/claims.md": claims_page()}
    pages |= {f"reference/api/{name}": text for name, text in api_pages().items()}
    return pages | {page: (ROOT / source).read_text("utf-8") for source, page in ALSO_PAGES.items()}


def on_config(config: Any) -> Any:
    """An entry of the navigation that names a folder stands for its pages, index first."""
    config.nav = [entry for entry in map(_expanded, config.nav) if not isinstance(entry, dict) or all(entry.values())]
    return config


def _expanded(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    ((title, value),) = entry.items()
    if isinstance(value, list):
        return {title: [_expanded(item) for item in value]}
    if not value.endswith("/"):
        return entry
    names = {path.name for path in (ROOT / "docs" / value).glob("*.md")}
    names |= {page.removeprefix(value) for page in generated() if posixpath.dirname(page) + "/" == value}
    return {
        title: [
            value + name
            for name in sorted(names, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))
        ]
    }


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are written from the code."""
    for page, text in generated().items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Marks become links, and links out of docs/ lead to the page that stands for the file, or become its name."""
    here = page.file.src_uri
    source = next((name for name, also in ALSO_PAGES.items() if also == here), f"docs/{here}")
    marks = claims().get(here)
    text = linked(markdown, here, marks) if marks else markdown
    return _LINK.sub(lambda match: _outward(match, source, here), text)


def _outward(match: re.Match[str], source: str, here: str) -> str:
    text, target, anchor = match[1], match[2], match[3] or ""
    if "://" in target or target.startswith("mailto:"):
        return match[0]
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    page = ALSO_PAGES.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
    if page is not None:
        return f"[{text}]({posixpath.relpath(page, posixpath.dirname(here) or '.')}{anchor})"
    if not (ROOT / path).exists():
        raise PluginError(f"{source} links to {target}, and there is no {path}")
    return text if f"`{path}`" in text or text.strip("`") == path else f"{text} (`{path}`)"


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Nothing may be loaded from another server."""
    found = _FROM_ELSEWHERE.search(output)
    if found and 'rel="canonical"' not in found[0]:
        raise PluginError(f"{page.file.src_uri} would load something from elsewhere: {found[0]}")
    return output
