"""docs/how-to/export-a-function.md works as it stands: its files, its command and its Python, in that order."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "export-a-function.md").read_text(encoding="utf-8")
ENV = {**os.environ, "COLUMNS": "120"}


def run(folder: Path, *command: str) -> str:
    result = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=120, env=ENV)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_example_trains(tmp_path: Path) -> None:
    files = dict(re.findall(r'```python title="([^"]+)"\n(.*?)```', PAGE, re.DOTALL))
    assert set(files) == {"curve.py", "run.py"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (line,) = re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE)
    program, *arguments = shlex.split(line)
    assert program == "edgebll"
    told = run(tmp_path, "-c", "from edgebll.cli import main; main()", *arguments)
    for tensor in ("params.0.weight", "moments.v.2.bias.next", "loss"):
        assert tensor in told
    match = re.fullmatch(r"loss ([\d.]+) -> ([\d.]+)\n", run(tmp_path, "run.py"))
    assert match is not None
    first, last = map(float, match.groups())
    assert last < 0.02 * first

    (python,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    before = (tmp_path / "curve.onnx").read_bytes()
    assert "moments.v.2.bias.next" in run(tmp_path, "-c", python)
    assert len((tmp_path / "curve.onnx").read_bytes()) == len(before)
