"""docs/how-to/train-a-spiking-network.md does what it says, with one epoch and without the baseline."""

from __future__ import annotations

import re
import runpy
from itertools import pairwise
from pathlib import Path

import pytest
from support.documents import Document
from typer.testing import CliRunner

from edgebll.cli.app import app

PAGE = Document("docs/how-to/train-a-spiking-network.md")
COMMANDS = PAGE.commands()
FILES = dict(re.findall(r'```python title="([^"]+)"\n(.*?)```', PAGE.text, re.DOTALL))


def invoke(words: list[str]) -> str:
    """A command of the page, with one epoch in place of many."""
    words = ["1" if before == "--epochs" else word for before, word in pairwise(words)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_neuron_steps_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """v goes 0.4 .. 0.976, 1.18: a spike in the fourth step, then two steps without."""
    (tmp_path / "step.py").write_text(FILES["step.py"])
    runpy.run_path(str(tmp_path / "step.py"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith("[[1.0") for line in lines] == [False, False, False, True, False, False]
    assert lines[-1] == "[[0.0, 0.0, 0.0]] [[0.0, 0.0, 0.0]]"


@pytest.mark.slow
def test_the_shipped_network_trains_and_runs_on_boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train, _, export, verify, simulate = COMMANDS[:5]
    for words in (train, export, verify):
        told = invoke(words)
    assert "agree" in told
    invoke(simulate)
    assert (tmp_path / "runs" / "on-boards" / "summary.json").exists()


@pytest.mark.slow
def test_blocks_learn_a_few_time_steps_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "accuracy" in invoke(COMMANDS[5])


@pytest.mark.slow
def test_a_network_of_ones_own_trains_and_verifies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spikes.py").write_text(FILES["spikes.py"])
    for words in COMMANDS[6:]:
        told = invoke(words)
    assert "agree" in told
