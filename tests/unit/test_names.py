"""One word, one meaning: no two public classes have one name, so that a name in a message or a page says where to look."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("edgebll", "export/edgebll_export", "devices/edgebll_devices", "firmware_host/edgebll_firmware_host")


def definitions() -> Iterator[tuple[str, Path]]:
    """Every public class at the top of a module, with its file."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.parse(path.read_text("utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    yield node.name, path.relative_to(ROOT)


def test_no_two_public_classes_share_a_name() -> None:
    places = defaultdict(list)
    for name, path in definitions():
        places[name].append(str(path))
    assert len(places) > 250, "the packages were not found"
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
