"""Shells complete commands and options, and nothing heavy is imported for that."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLACES = {
    "bash": ".bash_completions/{}.sh",
    "zsh": ".zfunc/_{}",
    "fish": ".config/fish/completions/{}.fish",
}
MAINS = {"edgebll": "edgebll.cli", "edgebll-board": "edgebll_devices.commands.main"}
_PROGRAM = """#!/bin/sh
exec '{python}' -c 'import sys
sys.argv[0] = "{name}"
from {module} import main
try:
    main()
finally:
    heavy = [name for name in ("torch", "onnx", "onnxruntime", "sklearn") if name in sys.modules]
    assert not heavy, heavy' "$@"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder, and programs that complain when something heavy was imported."""
    for name, module in MAINS.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(_PROGRAM.format(python=sys.executable, name=name, module=module))
        program.chmod(0o755)
    return tmp_path


def run(home: Path, script: str, shell: str = "bash", **env: str) -> subprocess.CompletedProcess[str]:
    """Run a script in bash, which is called as the shell that is to be told apart."""
    path = f"{home / 'bin'}:{os.environ['PATH']}"
    given = {**os.environ, "HOME": str(home), "PATH": path, "SHELL": f"/bin/{shell}", **env}
    return subprocess.run([shell, "-c", script], executable="/bin/bash", env=given, capture_output=True, text=True, check=False)


def ask(home: Path, program: str, line: str, shell: str = "zsh") -> str:
    """What a shell is told, in the words of its own part of the protocol."""
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    result = run(home, f"{program}; exit $?", **{variable: f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line})
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def test_bash_completes_commands_groups_and_options(home: Path) -> None:
    script = """
        eval "$(edgebll --show-completion)"
        complete_line() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _edgebll_completion edgebll; echo "${COMPREPLY[*]}"; }
        complete_line edgebll ex; complete_line edgebll cluster d; complete_line edgebll export --thr; complete_line edgebll re
    """
    result = run(home, script)
    assert result.stderr == ""
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["export", "export-step"],
        ["drain"],
        ["--threads"],
        ["reproduce"],
    ]


def test_zsh_and_fish_are_told_what_commands_do(home: Path) -> None:
    assert '"train":"Train a network on this machine."' in ask(home, "edgebll", "edgebll tr")
    assert ask(home, "edgebll-board", "edgebll-board pr").startswith('_arguments \'*: :(("profile":')
    answer = run(
        home,
        "edgebll",
        _EDGEBLL_COMPLETE="complete_fish",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
        _TYPER_COMPLETE_ARGS="edgebll keys ro",
    )
    assert answer.stdout.startswith("rotate\tReplace a key pair")


def test_asking_for_the_version_completes_too(home: Path) -> None:
    """An option before the word is not obeyed while a shell asks."""
    assert "train" in ask(home, "edgebll", "edgebll --version --install-completion tr")
    assert not (home / ".bashrc").exists()


@pytest.mark.parametrize(("program", "shell"), [*(("edgebll", shell) for shell in PLACES), ("edgebll-board", "bash")])
def test_completion_is_installed_where_the_shell_looks(home: Path, shell: str, program: str) -> None:
    shown = run(home, f"{program} --show-completion; exit $?", shell)
    for _ in range(2 if shell == "bash" else 1):
        result = run(home, f"{program} --install-completion; exit $?", shell)
        assert (result.returncode, result.stderr) == (0, "")
    place = home / PLACES[shell].format(program)
    assert result.stdout == f"completion for {shell} is in {place}; open a new terminal to use it\n"
    assert place.read_text().strip() == shown.stdout.strip() != ""
    if shell == "bash":
        assert (home / ".bashrc").read_text().count(f"source '{place}'") == 1


def test_other_shells_are_refused_in_one_sentence(home: Path) -> None:
    result = run(home, "edgebll --install-completion; exit $?", "ksh")
    assert result.returncode == 2
    assert result.stderr == (
        "edgebll: completion is there for bash, zsh, fish, not ksh; name yours, e.g. SHELL=zsh edgebll ...\n"
    )


def test_a_home_that_cannot_be_written_is_told(home: Path) -> None:
    (home / ".bash_completions").write_text("a file where the folder belongs")
    result = run(home, "edgebll --install-completion; exit $?")
    assert result.returncode == 9
    assert "Traceback" not in result.stderr
    assert str(home / ".bash_completions") in result.stderr
