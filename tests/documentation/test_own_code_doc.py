"""docs/how-to/use-your-own-code.md works as it stands: its files are short, its commands run, its Python does."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest
from support.command_calls import call
from support.documents import Document

PAGE = Document("docs/how-to/use-your-own-code.md")
FILES: dict[str, str] = dict(re.findall(r'```python title="([^"]+)"\n(.*?)```', PAGE.text, re.DOTALL))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def test_its_commands_run(folder: Path) -> None:
    output = [call(*words[1:]).output for words in PAGE.commands()]
    assert len(output) == 7
    assert "net.py:make in 3 blocks" in output[0]
    assert "net.py:make in 2 blocks" in output[1]
    assert "all" in output[4]
    assert "accuracy" in output[6]


def test_its_program_runs(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(folder)
    runpy.run_path(str(folder / "run.py"), run_name="__main__")
    for name in ("net", "rule", "optimizer"):
        sys.modules.pop(name, None)
    assert re.fullmatch(r"accuracy 0\.\d\d\n", capsys.readouterr().out)
    assert {path.name for path in (folder / "run" / "code").rglob("*.py")} == {"net.py", "rule.py", "optimizer.py"}


def test_each_thing_is_about_ten_lines() -> None:
    for name in ("net.py", "rule.py", "optimizer.py"):
        body = [line for line in FILES[name].splitlines() if line.strip() and not line.startswith(("import", "from"))]
        assert len(body) <= 13, name
