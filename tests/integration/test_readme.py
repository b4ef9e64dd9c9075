"""What the README shows works as shown: its commands on a small data set, its cluster file and its Python."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.direct_host import agent_process
from support.documents import Document
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll_firmware_host.inventory import load_cluster

README = Document("README.md")


def test_the_commands_run_in_order_on_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (toml,) = README.fenced("toml")
    with agent_process(tmp_path / "left", name="left") as left, agent_process(tmp_path / "right", name="right") as right:
        text = toml.replace("tcp://127.0.0.1:7101", left.endpoint).replace("tcp://127.0.0.1:7102", right.endpoint)
        Path("cluster.toml").write_text(text)
        ran = 0
        for program, *arguments in README.commands():
            if program != "edgebll":
                assert program in ("make", "edgebll-board")
                continue
            given = ["digits" if argument == "fashion-mnist" else argument for argument in arguments]
            result = CliRunner().invoke(app, given)
            assert result.exit_code == 0, (given, result.output)
            ran += 1
    assert ran >= 10
    assert (tmp_path / "runs" / "c" / "timeline.png").exists()


def test_the_cluster_file_is_valid(tmp_path: Path) -> None:
    (toml,) = README.fenced("toml")
    (tmp_path / "cluster.toml").write_text(toml)
    assert load_cluster(tmp_path / "cluster.toml").names == ("left", "right")


def test_the_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for block in README.fenced("python"):
        exec(compile(block, "README.md", "exec"), {})
    assert (tmp_path / "bundles" / "mine" / "manifest.json").exists()


def test_the_make_targets_exist() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    for target in re.findall(r"`make (\w+)", README.text) + [words[1] for words in README.commands() if words[0] == "make"]:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_files_named_exist() -> None:
    root = Path(__file__).parents[2]
    named = re.findall(r"`((?:edgebll|tests|bench|export|devices|firmware_host)[\w/]*/[\w/.]*)", README.text)
    assert len(named) >= 8
    packages = [root, root / "export", root / "devices", root / "firmware_host"]
    assert not [name for name in named if not any((base / name).exists() for base in packages)]
