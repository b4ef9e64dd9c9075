"""Documents that promise something: every claim, a line of a list, ends with the tests that hold it, and those exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Document -> how many claims it has at least, and integration tests whose names say what it promises: it names them all.
DOCUMENTS = {
    "docs/explanation/security.md": (30, ("keys_in_use", "flood")),
    "docs/explanation/reliability.md": (
        75,
        (
            *(
                "agent_service",
                "chaos",
                "cluster_commands",
                "few_descriptors",
                "giving_up",
                "hangup",
                "kept_states",
                "leaving",
                "local_agents",
            ),
            *(
                "many_recoveries",
                "namespaces",
                "output_unread",
                "out_of_memory",
                "resume",
                "several_runs",
                "stopped",
                "threads_capped",
                "under_limits",
                "under_systemd",
                "warm_boards",
                "whole_run",
            ),
        ),
    ),
}
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def text(document: str) -> str:
    return (ROOT / document).read_text("utf-8")


def functions(path: str) -> set[str]:
    return {node.name for node in ast.parse(text(path)).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_claim_ends_with_a_test(document: str) -> None:
    claims = [line for line in text(document).splitlines() if line.startswith("- ")]
    assert len(claims) >= DOCUMENTS[document][0]
    assert [claim for claim in claims if not re.search(rf"{_NAMED.pattern}$", claim)] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_named_test_exists(document: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text(document))
    assert len(named) >= DOCUMENTS[document][0]
    assert [f"{path}::{name}" for path, name in named if name not in functions(path)] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_is_tested_in_these_files_is_worth_a_claim(document: str) -> None:
    named = set(_NAMED.findall(text(document)))
    for path in (f"tests/integration/test_{name}.py" for name in DOCUMENTS[document][1]):
        assert {(path, name) for name in functions(path) if name.startswith("test_")} <= named, path
