"""Every runtime passes the same tests. What cannot run here is listed with the reason and the command that runs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import exported
from support.fake_cudart import FakeCudart, build_fake_cudart
from support.firmware_processes import FirmwareProcess
from support.host_engine import load_on_host
from support.shared_bundles import shared_bundle
from support.tiny_bundle import SIDES, make_tiny_bundle

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.execution.load_context import SERIAL_PORTS
from edgebll.kernel.spec.runtime_names import SERIAL
from edgebll_devices.runtimes import RUNTIMES, LoadContext, availability, missing
from edgebll_devices.runtimes import onnxruntime_gpu as ort_gpu
from edgebll_devices.runtimes import tensorrt as tensorrt_runtime

_NOT_HERE: dict[str, str] = {}
#: The firmware of microcontrollers as a process of this machine: all of it but the processor and the UART.
_FIRMWARE = "serial to a process"
#: A runtime for GPUs with doubles in the place of the GPU: everything of it that is ours.
_DOUBLES = {"tensorrt without a GPU": "tensorrt", "onnxruntime-cuda without a GPU": "onnxruntime-cuda"}
#: Exports of their own for a suite that seldom finds what the tests of plans do not.
_SLOW = ("ordered",)
_TARGETS = {"serial": "microcontroller", "ordered": "microcontroller"}
_BUNDLES: dict[str, Callable[[Path, str], Bundle]] = {
    "tiny": lambda path, target: make_tiny_bundle(path),
    "told": lambda path, target: make_tiny_bundle(path, blocks=4, sides=SIDES),
    "mlp": exported.mlp,
    "resnet": exported.resnet,
    "mixed": exported.mixed,
    "scanned": exported.scanned,
    "tokens": exported.tokens,
    "frozen": exported.frozen,
    "inputs": exported.inputs,
    "forms": exported.forms,
}


def _parameters() -> list[object]:
    reasons = {name: missing(name) for name in RUNTIMES}
    absent = _NOT_HERE | {
        name: f"{reason} (where it can run: pytest tests/conformance)" for name, reason in reasons.items() if reason
    }
    slow = [pytest.param(name, marks=pytest.mark.slow) for name in (*_SLOW, _FIRMWARE)]
    here = [name for name, reason in reasons.items() if reason is None and name not in _SLOW]
    here = [name for name in here if name != SERIAL or SERIAL_PORTS in os.environ]
    skipped = [pytest.param(name, marks=pytest.mark.skip(reason=why)) for name, why in absent.items()]
    return [*here, *slow, *_DOUBLES, *skipped]


@pytest.fixture(scope="session")
def cudart(tmp_path_factory: pytest.TempPathFactory) -> FakeCudart:
    """CUDA on the host's memory."""
    return FakeCudart(build_fake_cudart(tmp_path_factory.mktemp("cudart")))


@pytest.fixture(scope="session")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirmwareProcess]:
    """A board with memory for every block of the suite."""
    with FirmwareProcess(tmp_path_factory.mktemp("line") / "port", ram_kib=16 << 10) as process:
        yield process


@pytest.fixture(params=_parameters())
def runtime(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Name of the runtime under test."""
    name = str(request.param)
    if name == _FIRMWARE:
        monkeypatch.setenv(SERIAL_PORTS, request.getfixturevalue("firmware").address)
        yield "serial"
        return
    if name in _DOUBLES:
        monkeypatch.setitem(availability._CHECKS, _DOUBLES[name], lambda: None)
    if name == "tensorrt without a GPU":
        cudart: FakeCudart = request.getfixturevalue("cudart")
        cudart.reset()
        monkeypatch.setattr(
            tensorrt_runtime, "load_tensorrt_block", lambda bundle, block, load_context: load_on_host(bundle, block, cudart)
        )
        yield _DOUBLES[name]
        assert cudart.live == 0, "the runtime did not free everything"
        return
    if name in _DOUBLES:
        monkeypatch.setattr(ort_gpu, "load_ort_gpu_block", _on_the_processor)
    yield _DOUBLES.get(name, name)


def _on_the_processor(
    runtime: str, bundle: Bundle, block: str, *, threads: int, load_context: LoadContext
) -> ort_gpu.OrtGpuBlock:
    return ort_gpu.OrtGpuBlock(bundle, block, ["CPUExecutionProvider"], "cpu", threads=threads)


class BundleShelf:
    """Bundles by name and target, each made once."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], Bundle] = {}

    def get(self, name: str, target: str) -> Bundle:
        if (name, target) not in self._made:
            self._made[name, target] = shared_bundle(f"{name}-{target}", lambda path: _BUNDLES[name](path, target))
        return self._made[name, target]


class Bundles:
    """The bundles of the suite for one target.

    "tiny" and, with side streams, "told" (made by hand), "mlp", "resnet", "mixed", "scanned" and, with whole
    numbers as inputs, "tokens", with blocks that do not train, or not all, "frozen", and with samples of several
    inputs, "inputs", and by a form of BLL with all its terms "forms" (exported).
    """

    def __init__(self, shelf: BundleShelf, target: str) -> None:
        self._shelf, self._target = shelf, target

    def __getitem__(self, name: str) -> Bundle:
        return self._shelf.get(name, self._target)


@pytest.fixture(scope="session")
def shelf() -> BundleShelf:
    """All bundles."""
    return BundleShelf()


@pytest.fixture
def bundles(request: pytest.FixtureRequest, shelf: BundleShelf) -> Bundles:
    """Bundles whose graphs the runtime under test takes."""
    name = request.getfixturevalue("runtime") if "runtime" in request.fixturenames else ""
    return Bundles(shelf, "tensorrt-8.5" if name.endswith("tensorrt") else _TARGETS.get(name, "onnx"))
