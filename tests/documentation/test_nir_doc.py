"""The how-to page on networks for neuromorphic chips works as it stands."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from support.command_calls import call
from support.documents import Document


def test_the_page_works_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = Document("docs/how-to/nir.md")
    monkeypatch.chdir(tmp_path)
    for name, text in re.findall(r'```python title="([^"]+)"\n(.*?)```', page.text, re.DOTALL):
        Path(name).write_text(text)
    for words in page.commands():
        if words[0] == "python":
            runpy.run_path(words[1])
        else:
            assert words[0] == "edgebll"
            call(*words[1:])
    assert all(Path(name).stat().st_size for name in ("mine.nir", "first.nir", "coarse.nir"))
    assert Path("traces.npz").stat().st_size
    runpy.run_path("train.py")
    assert "[(20, 6), (4,)] 20" in capsys.readouterr().out
