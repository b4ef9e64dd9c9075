"""What docs/how-to/choose-a-target.md shows works as shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.documents import Document
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.learning import PRECISIONS
from edgebll_devices.commands.app import app as board
from edgebll_export.targets import TARGETS

PAGE = Document("docs/how-to/choose-a-target.md")


def test_the_commands_run_in_order_on_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    programs = {"edgebll": app, "edgebll-board": board}
    for program, *arguments in PAGE.commands():
        given = ["digits" if argument == "fashion-mnist" else argument for argument in arguments]
        result = CliRunner().invoke(programs[program], given)
        assert result.exit_code == 0, (given, result.output)
    assert (tmp_path / "bundles" / "q" / "block0" / "forward_int8.onnx").exists()


def test_every_target_and_precision_has_its_row() -> None:
    for name in (*TARGETS, *PRECISIONS):
        assert f"\n| `{name}` |" in PAGE.text
