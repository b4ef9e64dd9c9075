"""`edgebll export` for targets and precisions, `quantize` and `eval --int8`, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner, Result

from edgebll.cli.app import app
from edgebll.kernel.bundle import open_bundle, write_manifest
from edgebll.kernel.state.block_state import save_tensors
from edgebll_devices.commands.app import app as board


def edgebll(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    small = ("--network", "mlp", "--blocks", 2, "--epochs", 3, "--batch-size", 32, "--threads", 1)
    result = edgebll("train", *small, "--precision", "mixed", "--out", path)
    assert result.exit_code == 0, result.output
    return path


@pytest.mark.slow
def test_the_run_decides_the_precision_unless_told_otherwise(run: Path, tmp_path: Path) -> None:
    exported = edgebll("export", run, "--out", tmp_path / "a", "--json")
    assert exported.exit_code == 0, exported.output
    assert json.loads(exported.stdout)["precision"] == "mixed"
    assert "scale.factor" in {tensor.name for tensor in open_bundle(tmp_path / "a").manifest.blocks[0].state}
    plain = edgebll("export", run, "--out", tmp_path / "b", "--precision", "float32", "--target", "tensorrt-8.5", "--json")
    assert {"target": "tensorrt-8.5", "precision": "float32"}.items() <= json.loads(plain.stdout).items()
    assert edgebll("verify", tmp_path / "a", "--steps", 2).exit_code == 0
    assert edgebll("verify", tmp_path / "b", "--steps", 2).exit_code == 0


def test_the_opset_can_be_chosen(run: Path, tmp_path: Path) -> None:
    assert edgebll("export", run, "--out", tmp_path / "b", "--opset", 19, "--precision", "float32").exit_code == 0
    model = onnx.load_from_string(open_bundle(tmp_path / "b").graph("block0", "step"))
    assert model.opset_import[0].version == 19
    assert edgebll("verify", tmp_path / "b", "--steps", 2).exit_code == 0


def test_bfloat16_is_for_tensorrt_and_verified_there(run: Path, tmp_path: Path) -> None:
    refused = edgebll("export", run, "--out", tmp_path / "b", "--precision", "bfloat16")
    assert refused.exit_code == 5
    assert "does not compute in bfloat16" in refused.output
    assert edgebll("export", run, "--out", tmp_path / "b", "--precision", "bfloat16", "--target", "tensorrt-10").exit_code == 0
    verified = edgebll("verify", tmp_path / "b")
    assert verified.exit_code == 6
    assert "verify it on the board: edgebll-board verify" in verified.output


def test_golden_vectors_are_replayed_on_the_board(run: Path, tmp_path: Path) -> None:
    assert edgebll("export", run, "--out", tmp_path / "b").exit_code == 0
    replayed = CliRunner().invoke(board, ["verify", str(tmp_path / "b"), "--json"])
    assert replayed.exit_code == 0, replayed.output
    found = json.loads(replayed.stdout)
    assert found["passed"]
    assert {output["precision"] for output in found["outputs"]} == {"mixed"}
    damaged = open_bundle(tmp_path / "b")
    states = {block.name: damaged.state(block.name) for block in damaged.manifest.blocks}
    states["block1"] = {name: value * np.float32(1.5) for name, value in states["block1"].items()}
    _replace_states(tmp_path / "b", states)
    failed = CliRunner().invoke(board, ["verify", str(tmp_path / "b")])
    assert failed.exit_code != 0
    assert "of block1" in failed.stderr


def _replace_states(path: Path, states: dict[str, dict[str, np.ndarray]]) -> None:
    """Other weights beside golden vectors that belong to the old ones."""
    for name, state in states.items():
        save_tensors(path / name / "state.safetensors", state)
    write_manifest(path, open_bundle(path, verify=False).manifest)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--target", "tensorrt"], "one of onnx, tensorrt-8.5"),
        (["--opset", "12"], "between 17 and 23"),
        (["--precision", "fp8"], "one of float32, mixed, bfloat16"),
        (["--target", "microcontroller", "--ram", "12q"], "--ram must be a size such as 128k, 1M or 65536, not '12q'"),
        (["--ram", "128k"], "--ram is for the target microcontroller, not onnx; leave it out"),
        (["--target", "tensorrt-10", "--flash", "1M"], "--flash is for the target microcontroller, not tensorrt-10"),
        (["--recompute", "none"], "--recompute is for the target microcontroller, not onnx; leave it out"),
        (["--target", "microcontroller", "--recompute", "some"], "--recompute must be one of auto, none, all, not 'some'"),
    ],
)
def test_wrong_words_are_one_sentence(run: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    result = edgebll("export", run, "--out", tmp_path / "b", *arguments)
    assert result.exit_code == 2
    assert said in result.output
    assert not (tmp_path / "b").exists()


@pytest.mark.slow
def test_memory_of_a_microcontroller_is_told_and_held_to(run: Path, tmp_path: Path) -> None:
    # With --recompute auto it would compute more again to fit.
    given = ("--target", "microcontroller", "--precision", "float32", "--batch-size", 4, "--recompute", "none")
    how = (*given, "--out", tmp_path / "b")
    exported = edgebll("export", run, *how, "--ram", "4M", "--json")
    assert exported.exit_code == 0, exported.output
    rows = json.loads(exported.stdout)["blocks"]
    for row in rows:
        assert row["ram_bytes"] > row["state_bytes"] + row["arena_bytes"] + row["plan_bytes"]
    refused = edgebll("export", run, *how, "--ram", rows[0]["ram_bytes"] - 1)
    assert refused.exit_code == 5
    assert "block0 takes" in refused.output
    assert "Traceback" not in refused.output
    for shown in (edgebll("export", run, *how, "--flash", "8M"), edgebll("plan", tmp_path / "b", "--boards", 2)):
        assert shown.exit_code == 0, shown.output
        assert "RAM, KiB" in shown.stdout
    planned = json.loads(edgebll("plan", tmp_path / "b", "--json").stdout)["blocks"]
    assert [row["ram_bytes"] for row in planned] == [row["ram_bytes"] for row in rows]


@pytest.mark.slow
def test_a_plan_tells_what_each_microcontroller_takes_beside_what_it_has(run: Path, tmp_path: Path) -> None:
    """Two blocks share one arena; what is computed again is recorded where it is chosen, and told with what it would save."""
    how = ("--target", "microcontroller", "--precision", "float32", "--batch-size", 4, "--recompute", "none")
    exported = edgebll("export", run, *how, "--out", tmp_path / "b", "--json")
    assert exported.exit_code == 0, exported.output
    assert json.loads((tmp_path / "b" / "manifest.json").read_text())["recompute"] == {"block0": 0, "block1": 0}
    board = '[[board]]\nname = "mcu"\nendpoint = "tcp://127.0.0.1:1"\nruntime = "serial"\n'
    (tmp_path / "cluster.toml").write_text(board)
    command = ("plan", tmp_path / "b", "--cluster", tmp_path / "cluster.toml")
    told = json.loads(edgebll(*command, "--json").stdout)
    (placed,), blocks = told["placement"], told["blocks"]
    assert placed["blocks"] == [row["block"] for row in blocks] == ["block0", "block1"]
    for size, together in (("state_bytes", sum), ("plan_bytes", sum), ("arena_bytes", max)):
        assert placed[size] == together(row[size] for row in blocks) > 0
    parts = placed["state_bytes"] + placed["plan_bytes"] + placed["arena_bytes"]
    assert parts <= placed["memory_bytes"] < parts + 8 * 9, "six plans, two states and an arena, each rounded to 8"
    assert [(row["recomputed"], row["recomputing_trades"][0]["recomputed"]) for row in blocks] == [(0, 0), (0, 0)]
    shown = edgebll(*command).stdout
    assert "it has, KiB" in shown
    assert "+0.0 %" in shown


def test_quantize_and_evaluate(run: Path, tmp_path: Path) -> None:
    assert edgebll("export", run, "--out", tmp_path / "b").exit_code == 0
    quantised = edgebll("quantize", tmp_path / "b", "--out", tmp_path / "q", "--samples", 96, "--json")
    assert quantised.exit_code == 0, quantised.output
    assert {"data": "digits", "samples": 96}.items() <= json.loads(quantised.stdout).items()
    found = [json.loads(edgebll("eval", tmp_path / "q", "--json", *extra).stdout)["accuracy"] for extra in ([], ["--int8"])]
    assert found[0] > 0.85
    assert abs(found[0] - found[1]) < 0.03


def test_int8_where_there_is_none(run: Path, tmp_path: Path) -> None:
    assert edgebll("export", run, "--out", tmp_path / "b").exit_code == 0
    for path, code, said in ((tmp_path / "b", 3, "edgebll quantize"), (run, 2, "training run")):
        result = edgebll("eval", path, "--int8")
        assert result.exit_code == code
        assert said in result.output
    none = edgebll("quantize", tmp_path / "b", "--out", tmp_path / "q", "--samples", 5)
    assert none.exit_code == 2
    assert "at least one batch of 32" in none.output
