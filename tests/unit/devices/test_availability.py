"""Which runtimes a machine can use, and what is said where one is missing."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
from support.tiny_bundle import make_tiny_bundle

from edgebll.kernel.errors import ConfigError, MissingExtraError
from edgebll_devices.runtimes import RUNTIMES, availability, available_runtimes, load_block, missing

GPU_RUNTIMES = ("tensorrt", "onnxruntime-cuda", "onnxruntime-tensorrt")


def test_all_of_them_can_be_asked_for() -> None:
    assert tuple(availability._CHECKS) == RUNTIMES


def test_gpus_are_found_by_their_device_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", _no_library)
    assert not availability.has_nvidia_gpu(tmp_path)
    (tmp_path / "nvhost-gpu").touch()
    assert availability.has_nvidia_gpu(tmp_path)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: None)
    assert availability.has_nvidia_gpu(tmp_path / "empty")


def _no_library(name: str) -> None:
    raise OSError(name)


def test_without_a_gpu_its_runtimes_are_not_offered_and_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "has_nvidia_gpu", lambda: False)
    assert set(available_runtimes()).isdisjoint(GPU_RUNTIMES)
    bundle = make_tiny_bundle(tmp_path / "tiny")
    for runtime in GPU_RUNTIMES:
        with pytest.raises(MissingExtraError, match=f"the runtime {runtime} needs ") as caught:
            load_block(runtime, bundle, "block0")
        assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match=", ".join(RUNTIMES)):
        load_block("abacus", bundle, "block0")


def test_with_gpu_and_libraries_they_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgebll_devices.runtimes.tensorrt import find_library as library

    monkeypatch.setattr(availability, "has_nvidia_gpu", lambda: True)
    monkeypatch.setattr(library, "find_package", lambda: "tensorrt")
    assert missing("tensorrt") is None
    monkeypatch.setattr(library, "find_package", lambda: None)
    assert "python3-libnvinfer" in (missing("tensorrt") or "")
    (tmp_path / "capi").mkdir()
    monkeypatch.setattr(availability, "_ort_folders", lambda: [str(tmp_path)])
    assert "needs an ONNX Runtime built with CUDA; on a PC" in (missing("onnxruntime-cuda") or "")
    (tmp_path / "capi" / "libonnxruntime_providers_cuda.so").touch()
    assert missing("onnxruntime-cuda") is None
    assert missing("onnxruntime-tensorrt") is not None
