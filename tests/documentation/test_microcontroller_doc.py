"""What docs/how-to/train-on-a-microcontroller.md shows of exporting works as shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.documents import Document
from support.firmware_processes import FirmwareProcess
from support.microcontroller_tools import emulated_boards
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.kernel.bundle import open_bundle
from edgebll_firmware_host.inventory import load_cluster


def section(heading: str) -> Document:
    page = Document("docs/how-to/train-on-a-microcontroller.md")
    page.text = page.text.split(f"## {heading}\n")[1].split("\n## ")[0]
    return page


@pytest.mark.slow
def test_the_commands_of_the_export_and_of_the_simulation_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for program, *arguments in (*section("Export").commands(), *section("Try it without a board").commands()):
        assert program == "edgebll"
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, (arguments, result.output)
    with FirmwareProcess(tmp_path / "line", ram_kib=128, int8=True) as board:
        for program, *arguments in section("Predict on it in int8").commands():
            if program == "export":
                monkeypatch.setenv("EDGEBLL_SERIAL", board.address)
                continue
            result = CliRunner().invoke(app, arguments)
            assert result.exit_code == 0, (arguments, result.output)
    told = {
        path.name: json.loads((path / "summary.json").read_text()) for path in (tmp_path / "runs").glob("*") if path.name != "a"
    }
    assert told["mixed"]["state_sha256"] == told["sequential"]["state_sha256"]
    placed = told["simulated"]["placement"]
    assert placed == {"board0": ["block0"], "board1": ["block1"]}
    assert open_bundle(tmp_path / "bundles" / "mcu").manifest.target == "microcontroller"


def test_the_inventory_is_one(tmp_path: Path) -> None:
    (tmp_path / "cluster.toml").write_text(section("Run over it").fenced("toml")[0])
    first, second = load_cluster(tmp_path / "cluster.toml").boards
    assert (first.runtime, first.port, second.runtime, second.port) == ("serial", "/dev/ttyACM0", "onnxruntime", "")


@emulated_boards()
def test_the_firmware_is_built_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _, *arguments in section("Put the firmware on a board").commands():
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, (arguments, result.output)
    assert (tmp_path / "fw" / "firmware.bin").stat().st_size > 8000
