"""Pages that promise something: a mark behind every promise, and in docs/claims.toml the tests that hold it."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
CLAIMS: dict[str, dict[str, list[str]]] = tomllib.loads((ROOT / "docs" / "claims.toml").read_text("utf-8"))
#: Page -> how many claims it has at least, and integration tests whose names say what it promises: it names them all.
PAGES = {
    "explanation/security.md": (30, ("keys_in_use", "flood")),
    "explanation/reliability.md": (
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
_MARK = re.compile(r"\[([A-Z]\d+)\](?!\()")


def text(page: str) -> str:
    return (ROOT / "docs" / page).read_text("utf-8")


def functions(path: str) -> set[str]:
    return {node.name for node in ast.parse((ROOT / path).read_text("utf-8")).body if isinstance(node, ast.FunctionDef)}


def test_the_table_is_about_these_pages() -> None:
    assert set(CLAIMS) == set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_every_mark_stands_once_in_the_page_and_once_in_the_table(page: str) -> None:
    marks = Counter(_MARK.findall(text(page)))
    assert len(CLAIMS[page]) >= PAGES[page][0]
    assert {mark: count for mark, count in marks.items() if count > 1} == {}
    assert set(marks) == set(CLAIMS[page])


@pytest.mark.parametrize("page", PAGES)
def test_the_text_is_for_people(page: str) -> None:
    assert re.findall(r"tests/\S+::\w+", text(page)) == []


@pytest.mark.parametrize("page", PAGES)
def test_every_claim_has_tests_and_all_of_them_exist(page: str) -> None:
    assert [mark for mark, tests in CLAIMS[page].items() if not tests or len(set(tests)) < len(tests)] == []
    named = {tuple(test.split("::")) for tests in CLAIMS[page].values() for test in tests}
    assert [f"{path}::{name}" for path, name in named if name not in functions(path)] == []


@pytest.mark.parametrize("page", PAGES)
def test_what_is_tested_in_these_files_is_worth_a_claim(page: str) -> None:
    named = {test for tests in CLAIMS[page].values() for test in tests}
    for path in (f"tests/integration/test_{name}.py" for name in PAGES[page][1]):
        assert {f"{path}::{name}" for name in functions(path) if name.startswith("test_")} <= named, path
