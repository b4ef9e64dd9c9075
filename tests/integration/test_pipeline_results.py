"""What a pipelined run leaves can be relied on: snapshots, bundles, placements, other runtimes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.pipelines import SHORT, invoke, summary

from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.state.block_state import load_tensors
from edgebll.learning import BLL, SGD
from edgebll.learning.networks import make_network
from edgebll_export import export_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three dense blocks with batch norm for digits, trained by BLL with momentum."""
    path = tmp_path_factory.mktemp("bundles") / "mlp"
    network = make_network("mlp", num_blocks=3, num_classes=10, input_shape=(1, 8, 8), seed=0)
    export_bundle(network, rule=BLL(), optimizer=SGD(), batch_size=16, path=path)
    return path


@pytest.mark.parametrize("window", [1, 3, 8])
def test_the_bits_are_those_of_a_sequential_run(bundle: Path, tmp_path: Path, window: int) -> None:
    digests = set()
    for boards in (0, 2, 3):
        run = tmp_path / str(boards)
        invoke("simulate", bundle, "--boards", boards, "--window", window, "--out", run, *SHORT)
        digests.add(summary(run)["state_sha256"])
    assert len(digests) == 1


def test_a_snapshot_is_one_point_of_the_stream_on_all_boards(bundle: Path, tmp_path: Path) -> None:
    """Whatever was in flight: the same bytes as the sequential run had at that step, and the last one is the final state."""
    for boards in (0, 3):
        run = tmp_path / str(boards)
        invoke("simulate", bundle, "--boards", boards, "--window", 8, "--snapshot-every", 5, "--out", run, *SHORT)
    for step in (5, 10):
        folders = [tmp_path / str(boards) / "snapshots" / f"step{step:09d}" for boards in (0, 3)]
        names = [sorted(path.name for path in folder.iterdir()) for folder in folders]
        assert names[0] == names[1] == [*(f"block{index}.safetensors" for index in range(3)), "snapshot.json"]
        for name in names[0][:-1]:
            assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
    final = open_bundle(tmp_path / "3" / "bundle")
    for block in final.manifest.blocks:
        last = load_tensors(tmp_path / "3" / "snapshots" / "step000000010" / f"{block.name}.safetensors")
        assert all(np.array_equal(value, last[name]) for name, value in final.state(block.name).items())


def test_the_bundle_a_run_leaves_can_be_run_again(bundle: Path, tmp_path: Path) -> None:
    invoke("simulate", bundle, "--boards", 2, "--out", tmp_path / "first", *SHORT)
    invoke("simulate", tmp_path / "first" / "bundle", "--boards", 0, "--epochs", 0, "--out", tmp_path / "look", *SHORT)
    assert summary(tmp_path / "look")["accuracy"] == summary(tmp_path / "first")["accuracy"]
    assert summary(tmp_path / "look")["state_sha256"] == summary(tmp_path / "first")["state_sha256"]
    invoke("simulate", tmp_path / "first" / "bundle", "--boards", 2, "--out", tmp_path / "second", *SHORT)
    assert summary(tmp_path / "second")["state_sha256"] != summary(tmp_path / "first")["state_sha256"]


def test_measuring_changes_the_placement_at_most(bundle: Path, tmp_path: Path) -> None:
    invoke("simulate", bundle, "--boards", 2, "--measure", "--out", tmp_path / "measured", *SHORT)
    invoke("simulate", bundle, "--boards", 0, "--out", tmp_path / "plain", *SHORT)
    found = summary(tmp_path / "measured")
    assert found["state_sha256"] == summary(tmp_path / "plain")["state_sha256"]
    assert sorted(block for hosted in found["placement"].values() for block in hosted) == ["block0", "block1", "block2"]


def test_the_reference_runtime_runs_the_same_pipeline(bundle: Path, tmp_path: Path) -> None:
    options = ["--runtime", "reference", "--data", "digits", "--limit", "64"]
    for boards in (0, 2):
        invoke("simulate", bundle, "--boards", boards, *options, "--out", tmp_path / str(boards))
    assert summary(tmp_path / "0")["state_sha256"] == summary(tmp_path / "2")["state_sha256"]


def test_no_more_agents_than_blocks_are_started(bundle: Path, tmp_path: Path) -> None:
    invoke("simulate", bundle, "--boards", 9, "--out", tmp_path / "run", *SHORT)
    assert sorted(path.name for path in (tmp_path / "run" / "boards").iterdir()) == [f"board{i}.log" for i in range(3)]


def test_plan_tells_links_idle_boards_and_the_measured_throughput(bundle: Path) -> None:
    plan = json.loads(invoke("plan", bundle, "--boards", 4, "--measure", "--json"))
    assert [row["blocks"] for row in plan["placement"]] == [["block0"], ["block1"], ["block2"], []]
    assert [(link["from"], link["to"]) for link in plan["links"]] == [
        ("host", "board0"),
        ("board0", "board1"),
        ("board1", "board2"),
    ]
    blocks = open_bundle(bundle).manifest.blocks
    assert plan["links"][1]["bytes_per_step"] == blocks[1].input.size_bytes + blocks[1].labels.size_bytes
    slowest = max(row["step_seconds"] for row in plan["placement"])
    assert plan["samples_per_second"] == pytest.approx(16 / slowest)
    shown = invoke("plan", bundle, "--boards", 4, "--measure")
    assert "idle" in shown
    assert "samples/s" in shown


def test_a_damaged_recipe_is_one_sentence(bundle: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["recipe"]["lr"] = "fast"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    invoke("simulate", copy, "--boards", 0, "--out", tmp_path / "run", *SHORT, code=3)
    assert not (tmp_path / "run").exists()
    invoke("simulate", bundle, "--boards", 0, "--lr", 0.01, "--schedule", "constant", "--out", tmp_path / "run", *SHORT)
    config = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (config["lr"], config["schedule"]) == (0.01, "constant")
