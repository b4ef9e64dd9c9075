"""`edgebll operators` and the page made from it."""

import json
import subprocess
import sys

import pytest
from support.documents import Document

from edgebll_export.lowering.operator_table import FULL_TARGETS, operator_rows
from edgebll_export.lowering_registry import LOWERINGS
from edgebll_export.tracing.decompositions import DECOMPOSED, overload


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = "from edgebll.cli import main; main()"
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=120)


def test_the_page_is_up_to_date() -> None:
    assert run("operators", "--markdown").stdout == Document("docs/reference/operators.md").text, (
        "the operators changed: run `edgebll operators --markdown > docs/reference/operators.md`"
    )


def test_json_lists_every_operator_once() -> None:
    rows = json.loads(run("operators", "--json").stdout)
    names = [name for row in rows for name in row["operators"]]
    assert len(names) == len(set(names))
    assert len(names) >= len(LOWERINGS)
    assert {"family", "operators", "description", "targets"} == set(rows[0])
    assert all(row["targets"] == list(FULL_TARGETS) for row in rows)


def test_the_table_is_readable() -> None:
    assert "binary_cross_entropy" in run("operators").stdout


def test_two_formats_at_once_are_refused() -> None:
    result = run("operators", "--json", "--markdown")
    assert result.returncode == 2
    assert "exclude each other" in result.stderr


def test_every_entry_is_described() -> None:
    assert [row.operators for row in operator_rows() if not row.description] == []


@pytest.mark.parametrize("name", [name for names in DECOMPOSED.values() for name in names])
def test_pytorch_has_the_decomposition(name: str) -> None:
    from torch._decomp import decomposition_table

    assert overload(name) in decomposition_table
