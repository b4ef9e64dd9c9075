"""The examples run as they are, each in a process of its own and an empty folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.documents import ROOT

EXAMPLES = ROOT / "examples"
SAYS = {
    "own_network.py": "agree with the modules themselves",
    "block_in_a_program.py": "of a new batch known",
    "killed_board.py": "same bits: True",
}


def ran(path: Path, folder: Path) -> str:
    """What a script prints; it must end well."""
    done = subprocess.run([sys.executable, str(path)], cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", SAYS)
def test_a_script_runs(name: str, tmp_path: Path) -> None:
    said = ran(EXAMPLES / name, tmp_path)
    assert SAYS[name] in said
    if name == "killed_board.py":
        assert "recoveries: 1" in said


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    """Its cells in order, in one namespace, where an event loop runs as in Jupyter."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert len(code) >= 4
    body = "\n".join(f"exec(compile({text!r}, {f'cell {number}'!r}, 'exec'), space)" for number, text in enumerate(code))
    script = "import asyncio, matplotlib\nmatplotlib.use('agg')\nspace = {'__name__': '__main__'}\n"
    script += "async def cells():\n" + "\n".join(f"    {line}" for line in body.splitlines()) + "\nasyncio.run(cells())\n"
    (tmp_path / "cells.py").write_text(script)
    ran(tmp_path / "cells.py", tmp_path)


def test_all_examples_are_listed() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    files = sorted(path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".ipynb"))
    assert len(files) >= 5
    assert [name for name in files if f"({name})" not in page] == []
    assert {name for name in files if name.endswith(".py")} == set(SAYS)
