"""What docs/how-to/train-on-a-microcontroller.md shows of exporting works as shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.documents import Document
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.kernel.bundle import open_bundle


@pytest.mark.slow
def test_the_commands_of_the_export_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = Document("docs/how-to/train-on-a-microcontroller.md")
    page.text = page.text.split("## Export\n")[1].split("\n## ")[0]
    for program, *arguments in page.commands():
        assert program == "edgebll"
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, (arguments, result.output)
    assert open_bundle(tmp_path / "bundles" / "mcu").manifest.target == "microcontroller"
