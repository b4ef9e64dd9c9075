"""docs/security.md: every claim names a test, and every test it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "security.md").read_text("utf-8")
CLAIMS = [line for line in DOC.splitlines() if line.startswith("- ")]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", DOC)


def test_every_claim_names_a_test() -> None:
    assert len(CLAIMS) >= 30
    assert [claim for claim in CLAIMS if not re.search(r"`tests/[\w/]+\.py::test_\w+`$", claim)] == []


def test_every_named_test_exists() -> None:
    assert len(NAMED) >= 40
    for path, name in NAMED:
        functions = {
            node.name for node in ast.parse((ROOT / path).read_text("utf-8")).body if isinstance(node, ast.FunctionDef)
        }
        assert name in functions, f"{path}::{name}"


def test_every_test_of_pairing_and_of_the_gate_is_worth_a_claim() -> None:
    """Those whose names say what strangers cannot do."""
    for path in ("tests/integration/test_keys_in_use.py", "tests/integration/test_flood.py"):
        tests = re.findall(r"^def (test_\w+)", (ROOT / path).read_text("utf-8"), re.MULTILINE)
        assert {(path, test) for test in tests} <= set(NAMED)
