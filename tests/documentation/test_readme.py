"""What README and tutorials show works as shown: commands on a small data set, cluster files and Python."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.direct_host import agent_process
from support.documents import ROOT, Document
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll_firmware_host.inventory import load_cluster

README = Document("README.md")
LAPTOP, BOARDS, OWN = (Document(f"docs/tutorials/{name}.md") for name in ("laptop", "boards", "own-network"))


def run_all(document: Document) -> int:
    """Run the document's `edgebll` commands in this folder, on digits; how many there are."""
    ran = 0
    for program, *arguments in document.commands():
        if program != "edgebll":
            assert program in ("make", "edgebll-board")
            continue
        given = ["digits" if argument == "fashion-mnist" else argument for argument in arguments]
        result = CliRunner().invoke(app, given)
        assert result.exit_code == 0, (given, result.output)
        ran += 1
    return ran


def test_the_tutorials_for_laptop_and_boards_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_all(LAPTOP) >= 10
    (toml,) = BOARDS.fenced("toml")
    with agent_process(tmp_path / "left", name="left") as left, agent_process(tmp_path / "right", name="right") as right:
        text = toml.replace("tcp://127.0.0.1:7101", left.endpoint).replace("tcp://127.0.0.1:7102", right.endpoint)
        Path("cluster.toml").write_text(text)
        assert run_all(BOARDS) >= 3
    assert (tmp_path / "runs" / "c" / "timeline.png").exists()


def test_the_cluster_file_is_valid(tmp_path: Path) -> None:
    (toml,) = BOARDS.fenced("toml")
    (tmp_path / "cluster.toml").write_text(toml)
    assert load_cluster(tmp_path / "cluster.toml").names == ("left", "right")


def test_the_tutorial_for_networks_of_ones_own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for block in OWN.fenced("python"):
        exec(compile(block, "own-network.md", "exec"), {})
    assert (tmp_path / "bundles" / "mine" / "manifest.json").exists()
    for program, *arguments in OWN.commands():
        assert program == "edgebll"
        if arguments[0] == "plan":  # the others want 28 x 28 images, which not every machine has
            assert CliRunner().invoke(app, arguments).exit_code == 0


def test_the_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make (\w+)", README.text) + [words[1] for words in README.commands() if words[0] == "make"]:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("page", [README, LAPTOP, BOARDS, OWN])
def test_links_lead_somewhere(page: Document) -> None:
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", page.text) if "://" not in target]
    assert targets
    assert not [target for target in targets if not (page.folder / target).exists()]


def test_the_readme_is_a_screen_and_a_half() -> None:
    assert len(README.text.splitlines()) <= 75
