"""What docs/how-to/set-up-a-jetson.md shows works as shown: its console blocks in order, with the agent it starts."""

from __future__ import annotations

import re
import shlex
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.direct_host import agent_process
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.cli.commands.machine_checks import ROLES
from edgebll_devices.commands.app import app as board_app
from edgebll_devices.hardware.profiles import load_jetpacks, load_profiles

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "how-to" / "set-up-a-jetson.md").read_text(encoding="utf-8")


def fenced(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def console() -> list[list[str]]:
    return [shlex.split(line[2:]) for block in fenced("console") for line in block.splitlines() if line.startswith("$ ")]


def invoke(program: str, arguments: list[str]) -> str:
    result = CliRunner().invoke({"edgebll": app, "edgebll-board": board_app}[program], arguments)
    assert result.exit_code == 0, (program, arguments, result.output, result.exception)
    return result.stdout


def test_the_console_blocks_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (toml,) = fenced("toml")
    keys: dict[str, str] = {}
    with ExitStack() as stack:
        for program, *arguments in console():
            given = [keys.get(argument, argument) for argument in arguments]
            if given[0] != "serve":
                shown = invoke(program, given)
                if given[:2] == ["keys", "new"]:
                    keys[f"{given[2].removesuffix('.key').upper()}_PUBLIC_KEY"] = shown.strip()
                continue
            options = given[given.index("--key") :]  # the port and the name are the test's own
            agent = stack.enter_context(agent_process(tmp_path / "state", *options, name="orin-1"))
            text = toml.replace("tcp://127.0.0.1:7101", agent.endpoint).replace("BOARD_PUBLIC_KEY", keys["BOARD_PUBLIC_KEY"])
            Path("cluster.toml").write_text(text)
    assert (tmp_path / "runs" / "b" / "summary.json").exists()


def test_the_table_of_systems_agrees_with_the_profiles() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("| JetPack")]
    shown = {name: row for row in rows for name in re.findall(r"\d+\.\d+", row[0])}
    releases = load_jetpacks()
    assert list(shown) == [release.name for release in releases]
    for release in releases:
        _, boards, python, tensorrt, cuda, export, computes = shown[release.name]
        assert (python, tensorrt, cuda) == (release.python, release.tensorrt, release.cuda)
        assert release.target in export or computes.startswith("processors")
        named = {profile.name for profile in load_profiles().values() if release.name in profile.jetpack}
        assert ("xavier-nx" in named, "orin-nano" in named, "thor" in named) == tuple(
            word in boards for word in ("Xavier NX", "Orin", "Thor")
        )


def test_what_the_other_blocks_name_exists() -> None:
    unit = (ROOT / "devices" / "edgebll-board.service").read_text()
    shell = "\n".join(fenced("bash"))
    assert "--role board" in shell
    assert "board" in ROLES
    for path in re.findall(r"/etc/edgebll/board\.\w+|/opt/edgebll/share/\S+\.service", shell):
        assert path in unit or path.endswith("board.key"), path
    for variable in set(re.findall(r"EDGEBLL_\w+", shell)):
        help_text = CliRunner().invoke(board_app, ["serve", "--help"], env={"COLUMNS": "200"}).stdout
        assert variable in help_text
    for path in re.findall(r"`(tests/[\w/.]+)`", TEXT):
        assert (ROOT / path).exists(), path
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make (\w+)`", TEXT):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
