"""One concept a file, one thought a function: both stay short enough to be read at once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("edgebll", "export", "devices", "firmware_host", "tests", "bench", "examples")
#: Lines of a file, and of a function's body below its signature and docstring, which are as long as its arguments are many.
FILE_LINES, BODY_LINES = 250, 60


def files() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from (ROOT / folder).rglob("*.py")


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the first statement that is no docstring to the end."""
    body = function.body[ast.get_docstring(function) is not None :]
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_no_file_is_longer_than_its_concept() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in files()}
    assert len(lengths) > 500, "the files were not found"
    assert {path: length for path, length in lengths.items() if length > FILE_LINES} == {}


def test_no_function_is_longer_than_a_thought() -> None:
    found = {
        f"{path.relative_to(ROOT)}::{node.name}": body_lines(node)
        for path in files()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert len(found) > 3000, "the functions were not found"
    assert {where: length for where, length in found.items() if length > BODY_LINES} == {}
