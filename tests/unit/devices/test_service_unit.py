"""devices/edgebll-board.service: systemd takes it, and it starts what the agent understands."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgebll.kernel.execution.load_context import default_engine_dir
from edgebll_devices.agent.settings import Settings
from edgebll_devices.commands.app import app

UNIT = Path(__file__).parents[3] / "devices" / "edgebll-board.service"


def read() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes="#")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text())
    return parser


def serve_help() -> str:
    return CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "200"}).stdout


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze of systemd is not on this machine")
def test_systemd_takes_it(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/edgebll/bin/edgebll-board", sys.executable))
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_it_starts_the_agent_with_options_that_exist() -> None:
    command = read()["Service"]["ExecStart"].split()
    assert command[:2] == ["/opt/edgebll/bin/edgebll-board", "serve"]
    for option in (word for word in command if word.startswith("--")):
        assert re.search(rf"{option}\b", serve_help()), option
    for variable in re.findall(r"EDGEBLL_\w+", UNIT.read_text()):
        assert variable in serve_help(), variable


def test_folders_fit_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    service = read()["Service"]
    assert "${STATE_DIRECTORY}" in service["ExecStart"]
    assert service["StateDirectory"] == "edgebll"
    for name, value in (word.split("=", 1) for word in service["Environment"].split()):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("EDGEBLL_ENGINES", raising=False)
    assert default_engine_dir().is_relative_to(Path("/var/cache") / service["CacheDirectory"])
    assert os.environ["XDG_CACHE_HOME"] == "/var/cache"
    assert Path(os.environ["EDGEBLL_LOG"]).parent == Path("/var/log") / service["LogsDirectory"]


def test_it_restarts_and_leaves_the_gpu_reachable() -> None:
    service = read()["Service"]
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"] == "2"
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    assert int(service["WatchdogSec"]) >= 30, "a full disk or a slow card may hold the control thread up for seconds"
    assert not {"PrivateDevices", "DeviceAllow", "DevicePolicy", "MemoryDenyWriteExecute"} & set(service)


def test_several_hosts_are_allowed_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from edgebll.kernel.keys import make_key_pair
    from edgebll_devices.agent import agent

    seen: list[Settings] = []

    class Stopped(Exception):  # noqa: N818
        pass

    def note(settings: Settings) -> None:
        seen.append(settings)
        raise Stopped

    monkeypatch.setattr(agent, "Agent", note)
    hosts = [make_key_pair().public for _ in range(2)]
    result = CliRunner().invoke(app, ["serve", "--state", str(tmp_path)], env={"EDGEBLL_ALLOW": " ".join(hosts)})
    assert isinstance(result.exception, Stopped)
    assert seen[0].allowed == tuple(hosts)
