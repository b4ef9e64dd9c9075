"""Runs tutorials that tell a whole story, from the first file to what they promise at the end."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.kernel.runs.run_folder import open_run
from support.documents import Document


def told(page: str, folder: Path) -> dict[str, str]:
    """Write the files of a tutorial, run its commands in this folder in order, and return what each printed."""
    document = Document(f"docs/tutorials/{page}.md")
    for name, text in re.findall(r'```python title="([^"]+)"\n(.*?)```', document.text, re.DOTALL):
        (folder / name).write_text(text, encoding="utf-8")
    return {" ".join(words): _output(words, folder) for words in document.commands()}


def _output(words: list[str], folder: Path) -> str:
    program, *arguments = words
    if program == "python":
        done = subprocess.run(
            [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout
    assert program == "edgebll", words
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, (words, result.output)
    return result.output


def summary(run: Path) -> dict[str, Any]:
    """What summary.json says."""
    return dict(open_run(run)[1])
