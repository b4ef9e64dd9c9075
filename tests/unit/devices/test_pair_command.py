"""`edgebll-board pair` before anything is shown."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgebll_devices.commands.app import app


def test_without_its_extra_it_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spake2", None)
    state = tmp_path / "state"
    result = CliRunner().invoke(app, ["pair", "--listen", "tcp://127.0.0.1:0", "--state", str(state), "--expires", "1"])
    assert result.exit_code == 10
    assert result.stderr == (
        "edgebll-board: pairing by a code needs spake2, which is not installed: pip install 'edgebll[pair]'\n"
    )
    assert list(tmp_path.iterdir()) == []
