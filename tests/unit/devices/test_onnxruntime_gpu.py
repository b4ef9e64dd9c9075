"""ONNX Runtime's GPU providers, as far as a processor can stand in; the conformance suite covers the numbers."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.tiny_bundle import make_batch, make_tiny_bundle

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BoardError
from edgebll_devices.runtimes import LoadContext
from edgebll_devices.runtimes import onnxruntime_gpu as ort_gpu
from edgebll_devices.runtimes.onnxruntime_gpu import OrtGpuBlock, nodes_elsewhere

CPU = "CPUExecutionProvider"
LR = {"lr": 0.1}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make_tiny_bundle(tmp_path / "tiny")


def test_state_stays_in_two_sets_of_device_memory(bundle: Bundle) -> None:
    with OrtGpuBlock(bundle, "block0", [CPU], "cpu") as block:
        places = []
        for seed in range(4):
            places.append({name: value.data_ptr() for name, value in block._now.state.items()})
            block.train(*make_batch(bundle, seed), LR)
        assert places[0] == places[2]
        assert places[1] == places[3]
        assert set(places[0].values()).isdisjoint(places[1].values())


def test_a_provider_that_does_not_start_is_an_error_and_no_silent_fallback(bundle: Bundle) -> None:
    session = SimpleNamespace(get_providers=lambda: [CPU])
    with pytest.raises(BoardError, match=r"could not start CUDAExecutionProvider, so block0 would run on the processor"):
        ort_gpu._check_started(bundle.manifest.block("block0"), "step", session, ["CUDAExecutionProvider"])


def test_nodes_that_run_elsewhere_are_said(bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    node = SimpleNamespace(op_type="Einsum", name="odd")
    parts = [SimpleNamespace(ep_name=name, get_nodes=lambda: [node]) for name in ("CUDAExecutionProvider", CPU)]
    session = SimpleNamespace(
        get_providers=lambda: ["CUDAExecutionProvider", CPU], get_provider_graph_assignment_info=lambda: parts
    )
    with caplog.at_level(logging.WARNING):
        ort_gpu._check_started(bundle.manifest.block("block0"), "step", session, ["CUDAExecutionProvider", CPU])
    assert [record.message for record in caplog.records] == [
        "block0/step.onnx: 1 nodes do not run on CUDAExecutionProvider: Einsum odd (CPUExecutionProvider)"
    ]
    assert nodes_elsewhere(SimpleNamespace(), "CUDAExecutionProvider") == []


def test_onnx_runtime_tells_where_nodes_run(bundle: Bundle) -> None:
    """The real thing: with the processor alone every node runs elsewhere than on CUDA."""
    from edgebll_devices.runtimes.onnxruntime_session import load_session

    session = load_session(bundle, bundle.manifest.block("block0"), "step", 1, record=True)
    if not hasattr(session, "get_provider_graph_assignment_info"):
        pytest.skip("needs ONNX Runtime 1.24 or newer")
    assert any(name.startswith("MatMul") and name.endswith(f"({CPU})") for name in nodes_elsewhere(session, "CUDA"))
    assert nodes_elsewhere(session, CPU) == []


def test_providers_are_asked_for_reproducible_whole_precision(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(ort_gpu, "OrtGpuBlock", lambda *arguments, threads: asked.append((arguments, threads)))
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    said: list[str] = []
    for runtime in ("onnxruntime-cuda", "onnxruntime-tensorrt"):
        ort_gpu.load_ort_gpu_block(
            runtime, bundle, "block0", threads=2, load_context=LoadContext(say=said.append, engine_dir=tmp_path)
        )
    (plain, _), (engines, _) = asked
    assert [name for name, _ in plain[2]] == ["CUDAExecutionProvider"]
    assert [name for name, _ in engines[2]] == ["TensorrtExecutionProvider", "CUDAExecutionProvider"]
    assert plain[2][0][1]["use_tf32"] == "0"
    assert engines[2][0][1]["trt_engine_cache_path"] == str(tmp_path / "onnxruntime")
    assert said == ["ONNX Runtime prepares block0 with TensorRT; the first time this takes minutes on a small board"]
