"""A variable EDGEBLL_... that nothing reads is told of, and one that something reads is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.cli.command_table import COMMANDS
from edgebll.cli.environment import BOARD_OPTIONS, SETTINGS, option_names, sentences
from edgebll_devices.commands.app import app as board_app

ROOT = Path(__file__).resolve().parents[3]
SOURCES = [path for room in ("edgebll", "export", "devices", "firmware_host") for path in (ROOT / room).rglob("*.py")]


def told(*names: str) -> str:
    result = CliRunner().invoke(app, ["version"], env=dict.fromkeys(names, "1"))
    assert result.exit_code == 0
    assert result.stdout.startswith("edgebll ")
    return result.stderr


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("EDGEBLL_TRAIN_EPOCH", "EDGEBLL_TRAIN_EPOCHS"),
        ("EDGEBLL_TRIAN_EPOCHS", "EDGEBLL_TRAIN_EPOCHS"),
        ("EDGEBLL_DATAS", "EDGEBLL_DATA"),
        ("EDGEBLL_LISTN", "EDGEBLL_LISTEN"),
        ("EDGEBLL_EXPORT_STEP_OPST", "EDGEBLL_EXPORT_STEP_OPSET"),
        ("EDGEBLL_KEYS_PAIR_COD", "EDGEBLL_KEYS_PAIR_CODE"),
    ],
)
def test_a_misspelt_variable_is_told_with_the_nearest(name: str, near: str) -> None:
    assert told(name) == f"edgebll: the variable {name} is set, but nothing reads it; did you mean {near}?\n"


def test_one_like_no_other_is_told_without_a_guess() -> None:
    expected = "nothing reads it; the help of a command has the names of its variables\n"
    assert told("EDGEBLL_XYZZY") == f"edgebll: the variable EDGEBLL_XYZZY is set, but {expected}"


def test_the_board_tells_too() -> None:
    result = CliRunner().invoke(board_app, ["profile"], env={"EDGEBLL_LISTN": "1"})
    assert result.stderr.startswith("edgebll-board: the variable EDGEBLL_LISTN is set, but nothing reads it;")


def test_what_is_read_is_not_told() -> None:
    """Every option of every command as its help names it, what the sources read, and a board's options."""
    every = option_names(row.name for row in COMMANDS)
    assert len(every) > 100
    assert sentences(sorted(every)) == []
    assert told(*SETTINGS, *BOARD_OPTIONS) == ""


@pytest.mark.parametrize("words", [("train",), ("keys", "pair"), ("export-step",), ("cluster", "add"), ("simulate",)])
def test_the_names_are_those_that_help_shows(words: tuple[str, ...]) -> None:
    shown = set(re.findall(r"EDGEBLL_[A-Z_]+", "".join(CliRunner().invoke(app, [*words, "-h"], env={"COLUMNS": "200"}).stdout)))
    assert shown - {"EDGEBLL_DATA"} <= option_names(words[:1])
    assert shown


def test_the_lists_have_what_the_sources_read() -> None:
    """Names in quotes that the sources hand to the environment or to typer's envvar."""
    read = {
        name
        for path in SOURCES
        for name in re.findall(r"""(?:environ(?:\.get\(|\[)|envvar=)"(EDGEBLL_\w+)""", path.read_text())
    }
    assert read == {*SETTINGS, *BOARD_OPTIONS}


def test_a_boards_options_are_those_of_its_commands() -> None:
    commands = typer.main.get_command(board_app).commands.values()  # type: ignore[attr-defined]
    assert {p.envvar for one in commands for p in one.params if p.envvar} == set(BOARD_OPTIONS)
