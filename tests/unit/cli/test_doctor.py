"""`edgebll doctor` on machines where something is missing."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.cli.commands.machine_checks import local, packages
from edgebll.kernel.limits import Memory


def doctor(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, ["doctor", "--json", *map(str, arguments)])
    return result.exit_code, json.loads(result.stdout)


def topic(report: dict[str, Any], name: str) -> dict[str, Any]:
    return next(check for check in report["checks"] if check["topic"] == name)


def test_a_good_machine(tmp_path: Path) -> None:
    code, report = doctor("--folder", tmp_path / "not" / "yet")
    assert code == 0
    assert report["ok"]
    assert report["roles"] == ["board", "host", "train", "export"]
    assert "onnxruntime" in topic(report, "runtimes")["found"]
    assert topic(report, "disk")["found"].endswith(str(tmp_path))


def test_what_is_not_there_comes_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    code, report = doctor("--data-dir", tmp_path)
    assert code == 0
    assert report["roles"] == ["board", "host"]
    assert topic(report, "torch")["advice"] == "pip install 'edgebll[train]'"
    assert topic(report, "data fashion-mnist")["status"] == "note"
    code, report = doctor("--role", "train")
    assert code == 1
    assert topic(report, "torch")["status"] == "problem"


def test_a_table_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    result = CliRunner().invoke(app, ["doctor"])
    assert "pip install 'edgebll[train]'" in result.stdout
    assert "can be used for: board, host" in result.stderr


def test_a_package_that_does_not_load_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zmq", None)
    code, report = doctor()
    assert (code, report["ok"], report["roles"]) == (1, False, [])
    assert topic(report, "pyzmq")["advice"] == "pip install 'edgebll'"


def test_loopback_that_is_shut_off_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr(socket, "create_server", refuse)
    code, report = doctor()
    assert code == 1
    assert "not permitted" in topic(report, "loopback")["found"]


def test_little_disk_and_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(local, "_MIN_FREE_BYTES", 1 << 62)
    monkeypatch.setattr(local, "read_memory", lambda: Memory(1 << 28, "the control group /a", 1 << 27, ""))
    code, report = doctor("--folder", tmp_path)
    assert code == 1
    assert topic(report, "disk")["status"] == "problem"
    assert topic(report, "machine")["status"] == "note"
    assert topic(report, "machine")["found"].endswith("0.2 GiB of memory by the control group /a")


def test_the_gpu_or_why_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgebll.learning.training import gpu_info as gpu

    for seen, driver, status, found in (
        ("NVIDIA H200, 139 GiB, driver 570.124.06", "570.124.06", "ok", "NVIDIA H200"),
        ("", "570.124.06", "note", "NVIDIA's driver 570.124.06 is there, but "),
        ("", "", "note", "PyTorch"),
    ):
        monkeypatch.setattr(gpu, "describe_gpu", lambda seen=seen: seen)
        monkeypatch.setattr(gpu, "driver_version", lambda driver=driver: driver)
        code, report = doctor()
        check = topic(report, "gpu for training")
        assert (code, check["status"]) == (0, status)
        assert found in check["found"]
        assert ("pytorch.org" in check["advice"]) == (bool(driver) and not seen)


def test_a_check_that_breaks_is_told_and_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("broken installation")

    monkeypatch.setattr(packages, "runtimes", broken)
    code, report = doctor()
    assert code == 1
    assert "broken installation" in topic(report, "runtimes")["found"]
    assert topic(report, "loopback")["status"] == "ok"


def test_unknown_roles_are_refused() -> None:
    assert CliRunner().invoke(app, ["doctor", "--role", "king"]).exit_code == 2
