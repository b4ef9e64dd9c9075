"""The TensorRT runtime above the engine: two sets of state, graphs, failures. The conformance suite covers the numbers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support import exported
from support.fake_cudart import FakeCudart
from support.host_engine import HostEngine, load_on_host
from support.tiny_bundle import make_batch, make_tiny_bundle

from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.bundle.graph_signature import Signature
from edgebll.kernel.errors import BoardError, BundleError
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.learning import SGD, make_rule
from edgebll.learning.networks import make_network
from edgebll_devices.runtimes import load_block
from edgebll_devices.runtimes.tensorrt.block import TensorRTBlock
from edgebll_devices.runtimes.tensorrt.buffers import ALIGNMENT, Layout
from edgebll_devices.runtimes.tensorrt.cuda import Cuda
from edgebll_export import export_bundle, make_target

LR = {"lr": 0.1}
ILLEGAL_ADDRESS, NOT_CAPTURABLE = 700, 900


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def mlp(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return exported.mlp(tmp_path_factory.mktemp("bundles") / "mlp", "tensorrt-8.5")


@pytest.fixture
def block(bundle: Bundle, cudart: FakeCudart) -> Iterator[TensorRTBlock]:
    with load_on_host(bundle, "block0", cudart) as loaded:
        yield loaded


def _bits(block: TensorRTBlock) -> dict[str, bytes]:
    return {name: value.tobytes() for name, value in block.state().items()}


def test_state_stays_on_the_gpu_in_two_sets_that_swap(block: TensorRTBlock, bundle: Bundle, cudart: FakeCudart) -> None:
    places = []
    copies = cudart.calls("cudaMemcpyAsync")
    for seed in range(6):
        places.append(dict(block._now.state.addresses))
        block.train(*make_batch(bundle, seed), LR)
    assert places[0] == places[2] == places[4]
    assert places[1] == places[3] == places[5]
    assert set(places[0].values()).isdisjoint(places[1].values())
    assert all(address % ALIGNMENT == 0 for place in places for address in place.values())
    # One copy in and one out a step, for two steps as they are and two captures; the rest are graphs.
    assert cudart.calls("cudaMemcpyAsync") - copies == 2 * 4
    assert cudart.calls("cudaGraphLaunch") == 4


def test_graphs_and_plain_runs_give_the_same_bits(mlp: Bundle, cudart: FakeCudart) -> None:
    random = np.random.default_rng(0)
    spec = mlp.manifest.block("block0")
    batches = [
        (random.standard_normal(spec.input.shape, np.float32), np.eye(5, dtype=np.float32)[random.integers(0, 5, 8)])
        for _ in range(7)
    ]
    ends = []
    for capturable in (True, False):
        with load_on_host(mlp, "block0", cudart, capturable=capturable) as block:
            outputs = [(block.train(x, y, LR)[0], block.evaluate(x), block.feedback(y)) for x, y in batches]
            ends.append((_bits(block), [value.tobytes() for three in outputs for value in three]))
            assert block._now.step.captured == capturable
    assert ends[0] == ends[1]


def test_work_that_cannot_be_captured_is_said_once(
    bundle: Bundle, cudart: FakeCudart, caplog: pytest.LogCaptureFixture
) -> None:
    cudart.fail("cudaStreamEndCapture", NOT_CAPTURABLE)
    with caplog.at_level(logging.WARNING), load_on_host(bundle, "block0", cudart) as block:
        for seed in range(7):
            block.train(*make_batch(bundle, seed), LR)
        captured = (block._now.step.captured, block._then.step.captured)
        state = block.state()
    assert sorted(captured) == [False, True]  # the other side's capture did not fail
    assert [record.message for record in caplog.records] == [
        "block0/step.onnx (even steps) runs without a CUDA graph: the GPU failed in cudaStreamEndCapture: operation not "
        "permitted when stream is capturing (CUDA error 900)"
    ]
    with load_block("onnxruntime", bundle, "block0") as expected:
        for seed in range(7):
            expected.train(*make_batch(bundle, seed), LR)
        assert all((state[name] == value).all() for name, value in expected.state().items())


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_a_failed_step_leaves_the_state(bundle: Bundle, cudart: FakeCudart, steps: int) -> None:
    with load_on_host(bundle, "block0", cudart) as block:
        for seed in range(steps):
            block.train(*make_batch(bundle, seed), LR)
        before = _bits(block)
        cudart.fail("cudaStreamSynchronize", ILLEGAL_ADDRESS)
        with pytest.raises(BoardError, match=r"block0: a training step failed: .* illegal memory access") as caught:
            block.train(*make_batch(bundle, 99), LR)
        assert "\n" not in str(caught.value)
        assert _bits(block) == before
        block.train(*make_batch(bundle, 100), LR)
        assert _bits(block) != before


def test_int64_kept_as_int32_comes_back_as_int64(bundle: Bundle, cudart: FakeCudart) -> None:
    with load_on_host(bundle, "block0", cudart, narrows=True) as block:
        state = {**block.state(), "steps": np.array(2**31 - 2, np.int64)}
        block.load_state(state)
        block.train(*make_batch(bundle, 0), LR)
        assert block.state()["steps"] == 2**31 - 1
        assert block.state()["steps"].dtype == np.int64
        before = _bits(block)
        with pytest.raises(BundleError, match="'steps' holds a number beyond 32 bits"):
            block.load_state({**state, "steps": np.array(2**31, np.int64)})
        assert _bits(block) == before


@pytest.mark.parametrize(
    "function", ["cudaStreamCreateWithFlags", "cudaMalloc", "cudaHostAlloc", "cudaMemsetAsync", "cudaMemcpyAsync"]
)
def test_nothing_is_left_behind_when_loading_fails(bundle: Bundle, cudart: FakeCudart, function: str) -> None:
    before = cudart.live
    cudart.fail(function, 2)
    with pytest.raises(BoardError, match="out of memory"):
        load_on_host(bundle, "block0", cudart).close()
    assert cudart.live == before


def test_an_engine_with_another_signature_is_refused(bundle: Bundle, cudart: FakeCudart) -> None:
    spec = bundle.manifest.block("block0")
    engines = {g: HostEngine(bundle, "block0", g, cudart, narrows=False, capturable=True) for g in spec.graphs}
    whole = engines["forward"].signature
    engines["forward"].signature = Signature((TensorSpec("w", "float16", (6, 5)), *whole.inputs[1:]), whole.outputs)
    with pytest.raises(BundleError, match=r"block0/forward.onnx: the input 'w' must be float32"):
        TensorRTBlock(spec, bundle.state("block0"), engines, Cuda(cudart))


def test_layouts_pack_tensors_at_aligned_places() -> None:
    layout = Layout([TensorSpec("a", "float32", (3,)), TensorSpec("empty", "float32", (0, 4)), TensorSpec("b", "int64", ())])
    assert layout.offsets == {"a": 0, "empty": ALIGNMENT, "b": 2 * ALIGNMENT}
    assert layout.span(["a", "b"]) == (0, 2 * ALIGNMENT + 8)
    assert layout.span(["b"]) == (2 * ALIGNMENT, 8)
    memory = np.zeros(layout.size_bytes, np.uint8)
    layout.view(memory, "b")[...] = 258
    assert memory[2 * ALIGNMENT : 2 * ALIGNMENT + 2].tolist() == [2, 1]
    assert layout.view(memory, "empty").shape == (0, 4)


def test_the_fake_is_as_asynchronous_as_cuda(bundle: Bundle, cudart: FakeCudart, tmp_path: Path) -> None:
    """Without the wait the results would be old; this is what makes the tests above worth something."""
    with load_on_host(bundle, "block0", cudart) as block:
        x, y = make_batch(bundle, 0)
        a, _, _ = block.train(x, y, LR)
        block._in.host["x"][...] = 0
        block._now.step._enqueue()
        assert (block._out.host["a"] == a).all()
        cudart.hooks.cudaStreamSynchronize(block._cuda.stream.handle)
        assert (block._out.host["a"] == 0).all()


def test_resident_steps_are_training_steps_on_the_last_inputs(bundle: Bundle, cudart: FakeCudart) -> None:
    x, y = make_batch(bundle, 0)
    with load_on_host(bundle, "block0", cudart) as block, load_on_host(bundle, "block0", cudart) as other:
        block.train(x, y, LR)
        copies = cudart.calls("cudaMemcpyAsync")
        step, wait = block.resident_step()
        for _ in range(6):
            step()
        wait()
        assert cudart.calls("cudaMemcpyAsync") == copies
        for _ in range(7):
            other.train(x, y, LR)
        assert _bits(block) == _bits(other)
        block.train(x, y, LR)
        other.train(x, y, LR)
        assert _bits(block) == _bits(other)


@pytest.mark.parametrize("narrows", [False, True])
def test_mixed_precision_is_computed_bit_for_bit(cudart: FakeCudart, tmp_path: Path, narrows: bool) -> None:
    """Loss scaling and float16 inside the graph, counters as TensorRT 8 keeps them; ONNX Runtime computes both."""
    network = make_network("mlp", num_blocks=2, num_classes=5, input_shape=(1, 6, 6), seed=0)
    target = make_target("tensorrt-8.6")
    export_bundle(
        network, rule=make_rule("bll"), optimizer=SGD(), batch_size=8, path=tmp_path / "b", target=target, precision="mixed"
    )
    bundle = open_bundle(tmp_path / "b")
    for spec in bundle.manifest.blocks:
        x = np.random.default_rng(0).standard_normal(spec.input.shape, np.float32).astype(spec.input.dtype)
        y = np.eye(5, dtype=np.float32)[np.arange(8) % 5]
        with (
            load_on_host(bundle, spec.name, cudart, narrows=narrows) as block,
            load_block("onnxruntime", bundle, spec.name) as expected,
        ):
            for _ in range(5):
                a, metrics, _ = block.train(x, y, LR)
                b, others, _ = expected.train(x, y, LR)
                assert (a.tobytes(), metrics) == (b.tobytes(), others)
            assert _bits(block) == {name: value.tobytes() for name, value in expected.state().items()}
