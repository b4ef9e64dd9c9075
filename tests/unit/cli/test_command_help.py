"""The help of every command: an example that can be typed, nothing cut off, -h everywhere, and nothing heavy imported."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.cli.command_group import summary_of
from edgebll.cli.command_table import COMMANDS
from edgebll_devices.commands.app import app as board_app

APPS = {"edgebll": app, "edgebll-board": board_app}


def walk(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """A command and all below it."""
    yield words, command
    if hasattr(command, "list_commands"):
        context = command.context_class(command)
        for name in command.list_commands(context):
            yield from walk((*words, name), command.get_command(context, name))


EVERY = [found for name, one in APPS.items() for found in walk((name,), typer.main.get_command(one))]


@pytest.mark.parametrize(("words", "command"), EVERY, ids=[" ".join(words) for words, _ in EVERY])
def test_help_ends_with_examples_that_can_be_parsed(words: tuple[str, ...], command: Any) -> None:
    result = CliRunner().invoke(APPS[words[0]], [*words[1:], "-h"])
    assert result.exit_code == 0
    examples = [shlex.split(line) for line in result.stdout.splitlines() if line.startswith(f"    {words[0]} ")]
    assert examples
    for example in examples:
        assert tuple(example[: len(words)]) == words
        parse(example)


def parse(words: list[str]) -> None:
    """Read a command line as the program does, and end with a usage error where it would."""
    command, rest = typer.main.get_command(APPS[words[0]]), words[1:]
    while hasattr(command, "get_command") and not rest[0].startswith("-"):
        inner = command.get_command(command.context_class(command), rest[0])
        assert inner is not None, rest[0]
        command, rest = inner, rest[1:]
    if "-h" not in rest:
        command.make_context(words[0], rest)


@pytest.mark.parametrize("words", [words for words, command in EVERY if hasattr(command, "list_commands")])
def test_no_description_is_cut_off(words: tuple[str, ...]) -> None:
    text = " ".join(CliRunner().invoke(APPS[words[0]], [*words[1:], "-h"], env={"COLUMNS": "60"}).stdout.split())
    below = [summary_of(command) for path, command in EVERY if path[:-1] == words]
    assert below
    for summary in below:
        assert summary.endswith(".")
        assert summary in text
    assert "..." not in text.replace("[ARGS]...", "")


def test_the_overview_has_four_panels() -> None:
    text = CliRunner().invoke(app, ["-h"]).stdout
    places = [text.index(f"\n{panel}:\n") for panel in ("Learn", "Export", "Boards", "Look")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("words", "near"),
    [(["trian"], "train"), (["simulte"], "simulate"), (["cluster", "drian"], "drain"), (["keys", "rottate"], "rotate")],
)
def test_a_misspelt_command_is_told_the_nearest(words: list[str], near: str) -> None:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert f"Error: No such command '{words[-1]}'. Did you mean '{near}'?" in result.stderr
    assert "Did you mean" not in CliRunner().invoke(app, ["xyzzy"]).stderr


@pytest.mark.parametrize("words", [["keys", "show"], ["cluster", "status"]])
def test_a_group_lets_the_program_say_its_name(words: list[str]) -> None:
    result = CliRunner().invoke(app, [*words, "/nowhere/at/all"])
    assert result.exit_code in (2, 3)
    assert result.stderr.startswith("edgebll: ")


def imported(program: str) -> set[str]:
    """Which heavy packages are imported by a program of a line."""
    heavy = ("torch", "onnx", "onnxruntime", "numpy", "sklearn", "matplotlib", "zmq")
    report = f"print(*(name for name in {heavy} if name in sys.modules), file=sys.stderr)"
    code = f"import sys\nsys.argv = ['edgebll', '-h']\n{program}\n{report}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stderr.split())


def test_the_overview_imports_nothing_heavy() -> None:
    assert imported("from edgebll.cli import main\ntry: main()\nexcept SystemExit: pass") == set()


def test_the_help_of_no_command_imports_torch_or_onnx() -> None:
    """So it is there where they are not installed, and `import_torch` has its say before torch is loaded."""
    found = imported("from edgebll.cli.command_group import COMMANDS, load\nfor row in COMMANDS: load(row)")
    assert found <= {"numpy", "zmq"}
    assert len(COMMANDS) > 15
