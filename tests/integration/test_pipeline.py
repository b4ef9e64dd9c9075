"""Training over real agent processes: the same bits however it is scheduled, and clear ends when something dies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.direct_host import agent_process
from support.pipelines import SHORT, invoke, summary, write_cluster
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.keys import new_key_pair
from edgebll.learning import BLL, SGD, Greedy, Rule
from edgebll.learning.networks import make_network
from edgebll_export import export_bundle

RULES: dict[str, Rule] = {"bll": BLL(), "greedy": Greedy()}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Four blocks with batch norm, trained with momentum, by rule."""
    folder = tmp_path_factory.mktemp("bundles")
    network = make_network("resnet8", num_blocks=4, num_classes=10, input_shape=(1, 8, 8), seed=0)
    for name, rule in RULES.items():
        export_bundle(network, rule=rule, optimizer=SGD(), batch_size=16, path=folder / name)
    return {name: folder / name for name in RULES}


@pytest.mark.parametrize("rule", list(RULES))
def test_any_boards_and_any_window_give_the_bits_of_a_sequential_run(
    bundles: dict[str, Path], rule: str, tmp_path: Path
) -> None:
    schedules = [(0, 8), (1, 1), (2, 3), (4, 8)] if rule == "bll" else [(0, 8), (4, 3)]
    digests = set()
    for boards, window in schedules:
        run = tmp_path / f"{boards}-{window}"
        invoke("simulate", bundles[rule], "--boards", boards, "--window", window, "--out", run, *SHORT)
        found = summary(run)
        digests.add((found["state_sha256"], found["accuracy"], found["steps"]))
    assert len(digests) == 1
    start = {block.name: open_bundle(bundles[rule]).state(block.name) for block in open_bundle(bundles[rule]).manifest.blocks}
    final = open_bundle(run / "bundle")
    for name, state in start.items():
        assert any((final.state(name)[key] != value).any() for key, value in state.items()), f"{name} did not learn"


def test_another_seed_gives_other_bits(bundles: dict[str, Path], tmp_path: Path) -> None:
    for seed in (0, 1):
        invoke("simulate", bundles["bll"], "--boards", 0, "--seed", seed, "--out", tmp_path / str(seed), *SHORT)
    assert summary(tmp_path / "0")["state_sha256"] != summary(tmp_path / "1")["state_sha256"]


@pytest.mark.usefixtures("pictures")
def test_a_whole_run_leaves_everything(bundles: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    invoke("simulate", bundles["bll"], "--boards", 2, "--out", run, "--snapshot-every", 4, *SHORT)
    for name in ("run.json", "metrics.jsonl", "summary.json", "curves.png", "timeline.json", "timeline.png"):
        assert (run / name).stat().st_size > 0, name
    found = summary(run)
    assert (
        found["placement"] == {"board0": ["block0", "block1"], "board1": ["block2", "block3"]} or len(found["placement"]) == 2
    )
    assert 0 < found["accuracy"] < 1
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = {(line["block"], line["step"]) for line in lines if line["kind"] == "train"}
    assert steps == {(f"block{b}", s) for b in range(4) for s in range(10)}
    assert [line["step"] for line in lines if line["kind"] == "eval"] == [10]
    snapshots = sorted(p.name for p in (run / "snapshots").iterdir())
    assert snapshots == ["step000000004", "step000000008"]
    assert len(list((run / "snapshots" / snapshots[0]).glob("block*.safetensors"))) == 4
    events = json.loads((run / "timeline.json").read_text())["traceEvents"]
    spans = [event for event in events if event["ph"] == "X"]
    assert len([s for s in spans if s["name"].startswith("TRAIN")]) == 40
    assert len({event["pid"] for event in spans}) == 2
    assert json.loads(invoke("eval", run, "--json"))["accuracy"] == pytest.approx(found["accuracy"], abs=1e-9)


def test_a_run_of_no_epochs_only_evaluates(bundles: dict[str, Path], tmp_path: Path) -> None:
    invoke("simulate", bundles["bll"], "--boards", 2, "--epochs", 0, "--out", tmp_path / "run", *SHORT)
    found = summary(tmp_path / "run")
    assert found["steps"] == 0
    assert found["accuracy"] is not None


def test_boards_that_are_already_running_serve_run_after_run(bundles: dict[str, Path], tmp_path: Path) -> None:
    with agent_process(tmp_path / "a", name="a") as a, agent_process(tmp_path / "b", name="b") as b:
        cluster = write_cluster(tmp_path / "cluster.toml", {"a": a.endpoint, "b": b.endpoint})
        table = json.loads(invoke("devices", "--cluster", cluster, "--json"))
        assert [row["board"] for row in table] == ["a", "b"]
        for name in ("first", "second"):
            invoke("run", bundles["bll"], "--cluster", cluster, "--out", tmp_path / name, *SHORT)
        assert summary(tmp_path / "first")["state_sha256"] == summary(tmp_path / "second")["state_sha256"]
        assert summary(tmp_path / "second")["bytes_shipped"] == 0, "the boards keep files they have seen"


def test_an_encrypted_cluster_gives_the_same_bits(bundles: dict[str, Path], tmp_path: Path) -> None:
    host = new_key_pair(tmp_path / "host.key")
    pairs = {name: new_key_pair(tmp_path / f"{name}.key") for name in ("a", "b")}
    options = {name: ("--key", str(tmp_path / f"{name}.key"), "--allow", host.public) for name in pairs}
    with (
        agent_process(tmp_path / "a", *options["a"], name="a") as a,
        agent_process(tmp_path / "b", *options["b"], name="b") as b,
    ):
        public = {name: pair.public for name, pair in pairs.items()}
        endpoints = {"a": a.endpoint, "b": b.endpoint}
        cluster = write_cluster(tmp_path / "cluster.toml", endpoints, 'key = "host.key"', public)
        invoke("run", bundles["bll"], "--cluster", cluster, "--out", tmp_path / "run", *SHORT)
        invoke("simulate", bundles["bll"], "--boards", 0, "--out", tmp_path / "plain", *SHORT)
        assert summary(tmp_path / "run")["state_sha256"] == summary(tmp_path / "plain")["state_sha256"]
        new_key_pair(tmp_path / "stranger.key")
        cluster = write_cluster(tmp_path / "cluster.toml", endpoints, 'key = "stranger.key"\ndeadline_s = 2.0', public)
        invoke("run", bundles["bll"], "--cluster", cluster, "--out", tmp_path / "stranger", *SHORT, code=7)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--boards", "-1"], 2, "--boards must be at least 0"),
        (["--window", "0"], 2, "window must be at least 1"),
        (["--epochs", "-1"], 2, "--epochs must be at least 0, not -1"),
        (["--lr", "0"], 2, "learning rate"),
        (["--schedule", "sometimes"], 2, "schedule must be one of"),
        (["--limit", "8"], 2, "do not fill one batch"),
        (["--data", "reverse"], 4, "was exported for samples of shape"),
        (["--data", "imagenet"], 2, "imagenet"),
        (["--runtime", "magic", "--boards", "0"], 2, "runtime must be one of"),
    ],
)
def test_bad_options_end_with_one_sentence(
    bundles: dict[str, Path], tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    given = [] if "--data" in arguments else ["--data", "digits"]
    result = CliRunner().invoke(app, ["simulate", str(bundles["bll"]), "--out", str(tmp_path / "r"), *given, *arguments])
    assert result.exit_code == code, result.output
    assert words in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "r" / "summary.json").exists()


def test_an_unreachable_board_is_named(bundles: dict[str, Path], tmp_path: Path) -> None:
    cluster = write_cluster(tmp_path / "cluster.toml", {"nowhere": "tcp://127.0.0.1:9"}, "deadline_s = 1.0")
    result = CliRunner().invoke(
        app, ["run", str(bundles["bll"]), "--cluster", str(cluster), "--out", str(tmp_path / "r"), *SHORT]
    )
    assert result.exit_code == 7
    assert "board nowhere at tcp://127.0.0.1:9 did not answer" in result.output
    assert CliRunner().invoke(app, ["devices", "--cluster", str(cluster)]).exit_code == 7


def test_plan_shows_the_placement(bundles: dict[str, Path]) -> None:
    rows = json.loads(invoke("plan", bundles["bll"], "--boards", 2, "--json"))["placement"]
    assert [block for row in rows for block in row["blocks"]] == ["block0", "block1", "block2", "block3"]
    assert all(row["memory_bytes"] > 0 for row in rows)
    assert "board1" in invoke("plan", bundles["bll"], "--boards", 2)
