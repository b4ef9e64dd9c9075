"""The ONNX Runtime runtime: state in place, equal bits wherever inputs lie, refusals of graphs that do not fit."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from support.tiny_bundle import make_batch, make_tiny_bundle

from edgebll.kernel.bundle import Bundle, bundle_writer, open_bundle, write_manifest
from edgebll.kernel.errors import BoardError, BundleError
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll_devices.runtimes import load_block
from edgebll_devices.runtimes.aligned_arrays import ALIGNMENT, empty_aligned, is_ready
from edgebll_devices.runtimes.onnxruntime_cpu import OrtBlock
from edgebll_devices.runtimes.onnxruntime_session import load_session


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make_tiny_bundle(tmp_path / "tiny")


def _changed(bundle: Bundle, path: Path, graph: str, content: bytes) -> Bundle:
    """The bundle with another graph in block0, hashes and all."""
    with bundle_writer(path) as folder:
        shutil.copytree(bundle.path, folder, dirs_exist_ok=True)
        (folder / "block0" / f"{graph}.onnx").write_bytes(content)
        write_manifest(folder, bundle.manifest)
    return open_bundle(path)


def test_state_stays_in_two_sets_of_buffers(bundle: Bundle) -> None:
    with load_block("onnxruntime", bundle, "block0") as block:
        assert isinstance(block, OrtBlock)
        places = []
        for seed in range(6):
            places.append({name: value.ctypes.data for name, value in block._now.state.items()})
            block.train(*make_batch(bundle, seed), {"lr": 0.1})
        assert places[0] == places[2] == places[4]
        assert places[1] == places[3] == places[5]
        assert set(places[0].values()).isdisjoint(places[1].values())
        assert all(address % ALIGNMENT == 0 for place in places for address in place.values())


def test_aligned_inputs_are_read_where_they_lie(bundle: Bundle) -> None:
    x, y = make_batch(bundle, 0)
    aligned = empty_aligned(TensorSpec("x", "float32", x.shape))
    aligned[...] = x
    with load_block("onnxruntime", bundle, "block0") as block:
        assert isinstance(block, OrtBlock)
        step = block._now.step
        block.train(aligned, y, {"lr": 0.1})
        assert step._held["x"] is aligned
        assert is_ready(step._held["y"])


def _mean_bundle(bundle: Bundle, path: Path, features: int) -> Bundle:
    """Its forward pass is a = 0 w + mean(x): the kind of sum whose order depends on the address of x."""
    spec = bundle.manifest.block("block0")
    info = helper.make_tensor_value_info
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"]),
        helper.make_node("Sub", ["x", "x"], ["zero"]),
        helper.make_node("MatMul", ["zero", "w"], ["zeros"]),
        helper.make_node("Add", ["zeros", "mean"], ["a"]),
    ]
    inputs = [info("w", TensorProto.FLOAT, [features, features]), info("x", TensorProto.FLOAT, spec.input.shape)]
    graph = helper.make_graph(nodes, "forward", inputs, [info("a", TensorProto.FLOAT, spec.output.shape)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return _changed(bundle, path, "forward", model.SerializeToString())


def test_sums_do_not_depend_on_the_address_of_the_input(tmp_path: Path) -> None:
    features = 301
    bundle = _mean_bundle(make_tiny_bundle(tmp_path / "tiny", features=features, batch_size=7), tmp_path / "mean", features)
    x = np.random.default_rng(0).standard_normal((7, features)).astype(np.float32)
    raw = np.empty(x.nbytes + 128, np.uint8)
    results = set()
    with load_block("onnxruntime", bundle, "block0") as block:
        for offset_bytes in range(0, 64, 4):
            start = -raw.ctypes.data % 64 + offset_bytes
            moved = raw[start : start + x.nbytes].view(np.float32).reshape(x.shape)
            moved[...] = x
            results.add(block.evaluate(moved).tobytes())
    assert len(results) == 1


def test_a_graph_that_does_not_load_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    broken = _changed(bundle, tmp_path / "broken", "step", b"\x3a\x00")
    with pytest.raises(
        BundleError, match=r"block0/step.onnx does not load in ONNX Runtime \(.*\); export the bundle again"
    ) as caught:
        load_block("onnxruntime", broken, "block0")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("runtime", ["onnxruntime", "reference"])
def test_a_graph_with_another_signature_is_refused(bundle: Bundle, tmp_path: Path, runtime: str) -> None:
    forward = bundle.graph("block0", "forward")
    swapped = _changed(bundle, tmp_path / "swapped", "step", forward)
    with pytest.raises(BundleError, match=r"step.onnx: the input 'lr' is missing; export"):
        load_block(runtime, swapped, "block0")
    model = onnx.load_from_string(forward)
    model.graph.input[1].type.tensor_type.shape.dim[0].dim_value = 5
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    for size in (5, 6):
        model.graph.output[0].type.tensor_type.shape.dim.add().dim_value = size
    resized = _changed(bundle, tmp_path / "resized", "forward", model.SerializeToString())
    with pytest.raises(BundleError, match=r"forward.onnx: the input 'x' must be float32\[4, 6\], but is float32\[5, 6\]"):
        load_block(runtime, resized, "block0")


def test_a_failure_at_run_time_leaves_the_state(bundle: Bundle, tmp_path: Path) -> None:
    model = onnx.load_from_string(bundle.graph("block0", "step"))
    nodes = [
        helper.make_node("Constant", [], ["row"], value_ints=[99]),
        helper.make_node("Cast", ["lr"], ["shift"], to=TensorProto.INT64),
        helper.make_node("Mul", ["row", "shift"], ["index"]),
        helper.make_node("Gather", ["x", "index"], ["picked"]),
        helper.make_node("ReduceMean", ["picked"], ["extra"], keepdims=0),
        helper.make_node("Add", ["loss", "extra"], ["total"]),
    ]
    reshape = next(node for node in model.graph.node if node.output[0] == "metrics")
    place = list(model.graph.node).index(reshape)
    for offset, node in enumerate(nodes):
        model.graph.node.insert(place + offset, node)
    reshape.input[0] = "total"
    fragile = _changed(bundle, tmp_path / "fragile", "step", model.SerializeToString())
    x, y = make_batch(bundle, 0)
    for runtime in ("onnxruntime", "reference"):
        with load_block(runtime, fragile, "block0") as block:
            block.train(x, y, {"lr": 0.1})
            before = {name: value.tobytes() for name, value in block.state().items()}
            with pytest.raises(BoardError, match="block0") as caught:
                block.train(x, y, {"lr": 1.0})
            assert "\n" not in str(caught.value)
            assert {name: value.tobytes() for name, value in block.state().items()} == before
            block.train(x, y, {"lr": 0.1})


_WITHOUT = """
import sys
for name in {blocked!r}:
    sys.modules[name] = None
import numpy as np
from edgebll.kernel.bundle import open_bundle
from edgebll_devices.runtimes.golden_replay import replay
from edgebll_devices.runtimes import available_runtimes, load_block
assert not [name for name in sys.modules if name.startswith("onnxruntime") and sys.modules[name]]
bundle = open_bundle({path!r})
with load_block({runtime!r}, bundle, "block0") as block:
    x = np.ones(block.spec.input.shape, np.float32)
    y = np.ones(block.spec.labels.shape, np.float32)
    print(block.train(x, y, {{"lr": 0.1}})[1]["loss"])
"""


@pytest.mark.parametrize(
    ("runtime", "blocked"),
    [("onnxruntime", ["torch", "onnx"]), ("reference", ["torch", "onnx", "onnxruntime"])],
)
def test_runtimes_import_no_more_than_they_need(bundle: Bundle, runtime: str, blocked: list[str]) -> None:
    script = _WITHOUT.format(blocked=blocked, path=str(bundle.path), runtime=runtime)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0


@pytest.mark.parametrize(
    ("limit", "threads", "warned"), [("1", 2, True), ("2", 2, False), ("", 2, False), ("\u00b2", 2, False), ("1", 1, False)]
)
def test_a_limit_on_threads_from_outside_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, limit: str, threads: int, warned: bool
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", limit)
    bundle = make_tiny_bundle(tmp_path / "bundle")
    with load_block("onnxruntime", bundle, bundle.manifest.blocks[0].name, threads=threads):
        assert ("keeps ONNX Runtime from using" in caplog.text) == warned


def test_threads_wait_awake_only_within_a_step_whose_constants_stay_as_they_are(bundle: Bundle) -> None:
    """Sleeping within a step costs small blocks a third of their speed; packed constants cost depthwise ones a tenth."""
    spec = bundle.manifest.block("block0")
    found = {graph: load_session(bundle, spec, graph, 2).get_session_options() for graph in ("step", "forward")}
    for options in found.values():
        assert options.get_session_config_entry("session.force_spinning_stop") == "1"
        with pytest.raises(RuntimeError):  # as ONNX Runtime has it by default: awake
            options.get_session_config_entry("session.intra_op.allow_spinning")
    assert found["step"].get_session_config_entry("session.disable_prepacking") == "1"
    with pytest.raises(RuntimeError):
        found["forward"].get_session_config_entry("session.disable_prepacking")
