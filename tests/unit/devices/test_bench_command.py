"""`edgebll-board bench`: its figures are those of the clock and the kernel, it needs no torch, and changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.exported import BATCH_SIZE, mlp
from typer.testing import CliRunner, Result

from edgebll.kernel.bundle import Bundle
from edgebll_devices.benchmark import latency
from edgebll_devices.commands.app import app

ALONE = """
import sys
sys.modules["torch"] = sys.modules["onnx"] = None
from edgebll_devices.commands.main import main
sys.argv = ["edgebll-board", "bench", sys.argv[1], "--seconds", "0.01", "--json"]
main()
"""


def call(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["bench", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def model(path: Path, first: int | str = "batch", kind: int = TensorProto.FLOAT, width: int = 8) -> Path:
    """X (B, 8) times a constant."""
    weight = numpy_helper.from_array(np.ones((8, width), np.float32), "w")
    nodes = [helper.make_node("Cast", ["x"], ["c"], to=TensorProto.FLOAT), helper.make_node("MatMul", ["c", "w"], ["logits"])]
    x = helper.make_tensor_value_info("x", kind, [first, 8])
    graph = helper.make_graph(nodes, "m", [x], [helper.make_tensor_value_info("logits", 1, [first, width])], [weight])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(made, {"edgebll.network": "mine", "other": "left out"})
    onnx.save(made, path)
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Two dense blocks."""
    return mlp(tmp_path_factory.mktemp("bench") / "bundle")


def test_percentiles_are_those_of_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    spans = np.random.default_rng(0).permutation(np.arange(1, 101)).tolist()
    ticks = np.cumsum([number for span in spans for number in (1000, span * 1_000_000)]).tolist()
    clock: Iterator[int] = iter(ticks)
    monkeypatch.setattr(time, "perf_counter_ns", lambda: next(clock))
    monkeypatch.setattr(latency, "_MOST", 100)
    calls: list[None] = []
    found = latency.measure(lambda: calls.append(None), seconds=3600)
    ordered = sorted(spans)
    assert len(calls) == 103, "three warm up"
    assert (found.calls, found.min_ms) == (100, 1)
    assert found.p50_ms == (ordered[49] + ordered[50]) / 2
    assert ordered[94] <= found.p95_ms <= ordered[95]


def test_a_model_is_timed_at_any_batch_and_says_what_it_is(tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx")
    told = json.loads(call(path, "--batch", "3", "--seconds", "0.01", "--json").stdout)
    assert (told["batch"], told["threads"], told["about"]) == (3, 1, {"network": "mine"})
    assert told["calls"] >= 20
    assert 0 < told["min_ms"] <= told["p50_ms"] <= told["p95_ms"]
    shown = call(path, "--seconds", "0.01").stdout
    assert "batches of 1" in shown
    assert all(word in shown for word in ("p50, ms", "p95, ms", "samples/s", "memory, MiB"))
    assert (
        json.loads(call(model(tmp_path / "w.onnx", 4, TensorProto.INT64), "--seconds", "0.01", "--json").stdout)["batch"] == 4
    )


def test_memory_is_what_the_weights_take(tmp_path: Path) -> None:
    width = 1 << 20  # 32 MiB of weights
    told = json.loads(call(model(tmp_path / "m.onnx", width=width), "--seconds", "0.01", "--json").stdout)
    assert 32 << 20 <= told["memory_bytes"] < 512 << 20


def test_blocks_of_a_bundle_train_and_predict_and_stay_as_they_are(bundle: Bundle) -> None:
    before = {path: path.read_bytes() for path in bundle.path.rglob("*") if path.is_file()}
    told = json.loads(call(bundle.path, "--seconds", "0.01", "--json").stdout)
    assert (told["batch"], told["runtime"]) == (BATCH_SIZE, "onnxruntime")
    assert [block["block"] for block in told["blocks"]] == ["block0", "block1"]
    assert all(block[what]["p50_ms"] > 0 for block in told["blocks"] for what in ("train", "predict"))
    shown = call(bundle.path, "--block", "block1", "--seconds", "0.01").stdout
    assert "block1 train" in shown
    assert "block0" not in shown
    assert {path: path.read_bytes() for path in bundle.path.rglob("*") if path.is_file()} == before


def test_no_torch_and_no_onnx(tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx")
    done = subprocess.run([sys.executable, "-c", ALONE, str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert json.loads(done.stdout)["model"] == str(path), done.stderr


def test_what_cannot_be_measured_is_one_sentence(bundle: Bundle, tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx", 4)
    (tmp_path / "odd.onnx").write_bytes(b"no graph")
    odd = model(tmp_path / "open.onnx")
    changed = onnx.load(odd)
    changed.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "width"
    onnx.save(changed, odd)
    for arguments, code, words in (
        ((tmp_path / "none.onnx",), 3, "is no file; make one with `edgebll merge`"),
        ((tmp_path / "odd.onnx",), 3, "does not load in ONNX Runtime"),
        ((odd,), 3, "which is not known how to fill"),
        ((tmp_path,), 3, "is not a bundle"),
        ((path, "--batch", "2"), 2, "takes batches of 4, not 2"),
        ((path, "--batch", "0"), 2, "--batch must be at least 1, not 0"),
        ((path, "--threads", "0"), 2, "--threads must be"),
        ((path, "--seconds", "0"), 2, "--seconds must be"),
        ((path, "--block", "block0"), 2, "--block and --runtime are of a bundle"),
        ((bundle.path, "--batch", "2"), 2, "--batch is of a model"),
        ((bundle.path, "--block", "block9"), 3, "there is no block 'block9'"),
    ):
        result = call(*arguments, code=code)
        assert words in result.stderr
        assert len(result.stderr.splitlines()) == 1
