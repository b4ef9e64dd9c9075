"""Every number that a command takes: one that is far too large ends in one sentence, before anything is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from support.command_calls import TRAIN
from typer.testing import CliRunner

from edgebll.cli.app import app

#: What a command needs besides, where "{run}", "{bundle}" and "{out}" stand for paths.
NEEDED = {
    "train": [*TRAIN[1:], "--out", "{out}"],
    "export": ["{run}", "--out", "{out}"],
    "verify": ["{bundle}"],
    "quantize": ["{bundle}"],
    "simulate": ["{bundle}", "--boards", "0", "--limit", "128", "--out", "{out}"],
    "run": ["{bundle}", "--cluster", "{out}", "--out", "{out}"],
    "eval": ["{run}"],
    "networks": ["mlp"],
}
#: Whatever number is there, nothing more is done.
UPPER_ENDS = {("eval", "--limit"), ("quantize", "--samples"), ("networks", "--classes"), ("verify", "--tolerance")}
ROOT: Any = typer.main.get_command(app)


def numbers(command: str) -> list[tuple[str, str, str]]:
    """The options of a command that take a number, with one that fits nowhere in torch and numpy."""
    huge = {int: "99999999999999999999", float: "1e39"}
    options = ((option.opts[0], option.type_descriptor.annotation) for option in ROOT.get_command(None, command).params)
    return [(command, name, huge[kind]) for name, kind in options if kind in huge and (command, name) not in UPPER_ENDS]


CASES = [case for command in NEEDED for case in numbers(command)]


def test_there_are_as_many_as_it_seems() -> None:
    assert len(CASES) > 40


@pytest.mark.parametrize(("command", "option", "value"), CASES)
def test_a_number_that_fits_nowhere(command: str, option: str, value: str, run: Path, bundle: Path, tmp_path: Path) -> None:
    paths = {"run": run, "bundle": bundle, "out": tmp_path / "out"}
    line = [command, *(text.format(**paths) for text in NEEDED[command]), f"{option}={value}"]
    result = CliRunner().invoke(app, line)
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.output
    assert not (tmp_path / "out").exists()
