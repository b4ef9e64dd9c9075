"""The layer over libcudart, against a real C library with its functions: signatures, errors, capture, nothing left behind."""

from __future__ import annotations

import ctypes.util
import sys
from pathlib import Path

import numpy as np
import pytest
from support.fake_cudart import FakeCudart

from edgebll.kernel.errors import BoardError, MissingExtraError
from edgebll_devices.runtimes.tensorrt import cudart as cudart_module
from edgebll_devices.runtimes.tensorrt.cuda import DEVICE_TO_DEVICE, DEVICE_TO_HOST, HOST_TO_DEVICE, Cuda
from edgebll_devices.runtimes.tensorrt.cudart import Cudart, open_cudart
from edgebll_devices.runtimes.tensorrt.gpu_info import describe_gpu

OUT_OF_MEMORY, ILLEGAL_ADDRESS, NOT_CAPTURABLE = 2, 700, 900


def test_bytes_travel_to_the_gpu_and_back(cudart: FakeCudart) -> None:
    cuda = Cuda(cudart)
    given, taken = cuda.pinned_buffer(1000), cuda.pinned_buffer(1000)
    first, second = cuda.device_buffer(1000), cuda.device_buffer(1000)
    given.bytes[:] = np.arange(1000) % 251
    cuda.stream.copy(first.address, given.address, 1000, HOST_TO_DEVICE)
    cuda.stream.copy(second.address, first.address, 1000, DEVICE_TO_DEVICE)
    cuda.stream.copy(taken.address, second.address, 1000, DEVICE_TO_HOST)
    assert (taken.bytes != given.bytes).any()  # asynchronous: nothing has happened yet
    cuda.stream.wait()
    assert (taken.bytes == given.bytes).all()
    cuda.stream.clear(second)
    cuda.stream.copy(taken.address, second.address, 1000, DEVICE_TO_HOST)
    cuda.stream.wait()
    assert not taken.bytes.any()
    cuda.close()


def test_memory_that_is_not_pinned_is_refused(cudart: FakeCudart) -> None:
    cuda = Cuda(cudart)
    buffer, plain = cuda.device_buffer(64), np.zeros(64, np.uint8)
    with pytest.raises(BoardError, match=r"cudaMemcpyAsync: invalid argument \(CUDA error 1\)"):
        cuda.stream.copy(buffer.address, plain.ctypes.data, 64, HOST_TO_DEVICE)
    cuda.close()


def test_empty_tensors_have_an_address(cudart: FakeCudart) -> None:
    cuda = Cuda(cudart)
    assert cuda.device_buffer(0).address
    assert cuda.pinned_buffer(0).address
    cuda.close()


def test_too_little_memory_says_what_to_do(cudart: FakeCudart) -> None:
    cudart.hooks.fake_limit(1 << 20)
    cuda = Cuda(cudart)
    with pytest.raises(BoardError, match=r"cudaMalloc: out of memory \(CUDA error 2\); use a smaller batch"):
        cuda.device_buffer(2 << 20)
    assert cudart.calls("cudaGetLastError") == 1  # the error is taken back, so the next call does not report it again
    cuda.device_buffer(1 << 10)
    cuda.close()


def test_a_captured_graph_repeats_the_work_on_new_contents(cudart: FakeCudart) -> None:
    cuda = Cuda(cudart)
    pinned, device, back = cuda.pinned_buffer(16), cuda.device_buffer(16), cuda.pinned_buffer(16)

    def work() -> None:
        cuda.stream.copy(device.address, pinned.address, 16, HOST_TO_DEVICE)
        cuda.stream.copy(back.address, device.address, 16, DEVICE_TO_HOST)

    back.bytes[:] = 0
    pinned.bytes[:] = 7
    graph = cuda.capture(work)
    cuda.stream.wait()
    assert not back.bytes.any()  # recorded, not run
    for number in (1, 2):
        pinned.bytes[:] = number
        graph.launch(cuda.stream)
        cuda.stream.wait()
        assert (back.bytes == number).all()
    assert cudart.calls("cudaGraphDestroy") == 1  # the executable stays, what it was made from does not
    cuda.close()


@pytest.mark.parametrize("function", ["cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphInstantiateWithFlags"])
def test_a_capture_that_fails_leaves_the_stream_usable(cudart: FakeCudart, function: str) -> None:
    cuda = Cuda(cudart)
    buffer = cuda.device_buffer(16)
    cudart.fail(function, NOT_CAPTURABLE)
    with pytest.raises(BoardError, match=f"{function}: operation not permitted"):
        cuda.capture(lambda: cuda.stream.clear(buffer))
    cuda.capture(lambda: cuda.stream.clear(buffer)).launch(cuda.stream)
    cuda.stream.wait()
    cuda.close()


def test_forbidden_work_in_a_capture_is_the_error_that_is_told(cudart: FakeCudart) -> None:
    cuda = Cuda(cudart)
    with pytest.raises(BoardError, match=r"cudaStreamSynchronize: operation not permitted"):
        cuda.capture(cuda.stream.wait)
    cuda.stream.wait()
    cuda.close()


def test_events_measure_time(cudart: FakeCudart) -> None:
    cuda = Cuda(cudart)
    buffer, start, end = cuda.device_buffer(16), cuda.event(), cuda.event()
    cuda.stream.record(start)
    for _ in range(3):
        cuda.stream.clear(buffer)
    cuda.stream.record(end)
    cuda.stream.wait()
    end.wait()
    assert end.seconds_since(start) == pytest.approx(0.004)  # the fake takes 1 ms for each piece of work
    cuda.close()


def test_closing_frees_everything_even_on_a_gpu_that_is_lost(cudart: FakeCudart) -> None:
    cuda = Cuda(cudart)
    cuda.device_buffer(16)
    cuda.pinned_buffer(16)
    cuda.event()
    cudart.fail("cudaStreamSynchronize", ILLEGAL_ADDRESS)
    cuda.close()
    cuda.close()


def test_the_gpu_is_described(cudart: FakeCudart) -> None:
    gpu = describe_gpu(cudart)
    assert (gpu.capability, gpu.multiprocessors, gpu.integrated, gpu.memory_bytes) == ((8, 7), 8, True, 8 << 30)
    assert gpu.name
    assert "sm_87" in str(gpu)
    cudart.hooks.fake_versions(12040, 12040, 0)
    with pytest.raises(BoardError, match="CUDA finds no GPU"):
        describe_gpu(cudart)


def test_the_library_is_found_by_name(library: str, cudart: FakeCudart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBLL_CUDART", library)
    assert open_cudart().path == library
    cudart.hooks.fake_versions(0, 12040, 0)
    with pytest.raises(BoardError, match="no NVIDIA driver"):
        open_cudart()
    cudart.hooks.fake_versions(11040, 12040, 1)
    with pytest.raises(BoardError, match=r"serves CUDA 11 at most.*nvidia-cuda-runtime-cu11"):
        open_cudart()
    cudart.hooks.fake_versions(13000, 12040, 1)
    assert open_cudart().number("cudaRuntimeGetVersion") == 12040


def test_wheels_are_searched_and_a_missing_library_says_what_to_install(
    library: str, cudart: FakeCudart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGEBLL_CUDART", raising=False)
    monkeypatch.setattr(cudart_module, "_SONAMES", ("libcudart.so.12",))
    monkeypatch.setattr(cudart_module, "_TOOLKITS", ())
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert list(cudart_module._candidates()) == ["libcudart.so.12"]
    folder = tmp_path / "nvidia" / "cuda_runtime" / "lib"
    folder.mkdir(parents=True)
    (folder / "libcudart.so.12").symlink_to(library)
    assert list(cudart_module._candidates()) == ["libcudart.so.12", str(folder / "libcudart.so.12")]
    monkeypatch.setattr(cudart_module, "_candidates", lambda: iter(["libno-such-cudart.so"]))
    with pytest.raises(MissingExtraError, match="pip install nvidia-cuda-runtime"):
        open_cudart()


def test_another_library_is_not_taken_for_cuda() -> None:
    with pytest.raises(MissingExtraError, match=r"is not the runtime library of CUDA 11\.4 or newer"):
        Cudart(ctypes.util.find_library("c") or "libc.so.6")
