"""What differs between TensorRT's versions, and finding the package where JetPack puts it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from support.fake_tensorrt import BuilderFlag, DataType, Engine, Layer, Network, Tensor, make_module

from edgebll.kernel.errors import BoardError, BundleError, MissingExtraError
from edgebll.kernel.execution.load_context import LoadContext
from edgebll_devices.runtimes.tensorrt import find_library as library_module
from edgebll_devices.runtimes.tensorrt.builder import Builder, BuildOptions
from edgebll_devices.runtimes.tensorrt.engine import TensorRTEngine
from edgebll_devices.runtimes.tensorrt.find_library import Library, load_library

FLOAT, HALF, INT32 = DataType.FLOAT, DataType.HALF, DataType.INT32


@pytest.mark.parametrize(
    ("version", "bits", "plugins"), [("8.5.2", 1, True), ("8.6.1", 1, True), ("10.3.0", 2, False), ("11.0.0", 2, False)]
)
def test_networks_are_made_as_the_version_wants(version: str, bits: int, plugins: bool) -> None:
    module = make_module(version)
    built = Builder(Library(module), LoadContext()).build("x", b"graph", BuildOptions(workspace_bytes=7, level=5), b"times")
    assert built.engine == b"engine"
    assert built.timings == b"times+"
    assert ("create_network", bits) in module.noted
    assert (("plugins", "") in module.noted) == plugins
    assert module.config.limits == {"workspace": 7}
    assert module.config.flags == set()  # no TF32: float32 is float32
    assert not hasattr(module.config, "builder_optimization_level")  # 8.5 has none


def test_tf32_is_there_for_who_asks() -> None:
    module = make_module("10.3.0")
    Builder(Library(module), LoadContext()).build("x", b"graph", BuildOptions(tf32=True))
    assert module.config.flags == {BuilderFlag.TF32}


def test_mixed_graphs_keep_their_types_on_weakly_typed_networks() -> None:
    layers = [
        Layer("MATRIX_MULTIPLY", HALF),
        Layer("CAST", FLOAT),
        Layer("ELEMENTWISE", FLOAT),
        Layer("TOPK", FLOAT, INT32),
        Layer("ELEMENTWISE", INT32),
        Layer("CONSTANT", HALF),
    ]
    module = make_module("8.6.1", Network([Tensor(FLOAT)], layers))
    Builder(Library(module), LoadContext()).build("x", b"graph", BuildOptions())
    assert module.config.flags == {BuilderFlag.FP16, BuilderFlag.OBEY_PRECISION_CONSTRAINTS}
    assert [layer.precision for layer in layers] == [HALF, None, FLOAT, FLOAT, None, None]
    assert [layer.output_types for layer in layers] == [{0: HALF}, {}, {0: FLOAT}, {0: FLOAT}, {}, {}]


@pytest.mark.parametrize("version", ["8.6.1", "10.3.0"])
def test_float32_graphs_and_strongly_typed_networks_get_no_flag(version: str) -> None:
    layers = [Layer("ELEMENTWISE", FLOAT if version == "8.6.1" else HALF)]
    module = make_module(version, Network([Tensor(FLOAT)], layers))
    Builder(Library(module), LoadContext()).build("x", b"graph", BuildOptions())
    assert module.config.flags == set()
    assert layers[0].precision is None


@pytest.mark.parametrize(
    ("version", "said"), [("8.5.2", "node 1: no such operator"), ("10.3.0", r"norm \(LayerNormalization\): no such operator")]
)
def test_parser_errors_name_the_node(version: str, said: str) -> None:
    with pytest.raises(BundleError, match=f"x does not parse in TensorRT {version}: {said}; export the bundle"):
        Builder(Library(make_module(version)), LoadContext()).build("x", b"refused", BuildOptions())


@pytest.mark.parametrize(
    ("version", "call", "memory"),
    [
        ("8.5.2", ("create_execution_context_without_device_memory",), 4096),
        ("10.3.0", ("create_execution_context", "user"), (4096, 1024)),
        ("11.0.0", ("create_execution_context", "user"), (4096, 1024)),
    ],
)
def test_contexts_share_scratch_memory(version: str, call: tuple[str, ...], memory: object) -> None:
    module = make_module(version)
    engine = TensorRTEngine(Library(module), Engine(module), "x")
    assert engine.scratch_bytes == (512 if version == "8.5.2" else 1024)
    assert [(t.name, t.dtype, t.shape) for t in engine.signature.inputs] == [("x", "float32", (2, 3))]
    assert [(t.name, t.dtype, t.shape) for t in engine.signature.outputs] == [("a", "int32", (2,))]
    execution = engine.bind({"x": 1024, "a": 2048}, 4096, 7)
    assert module.noted[-1] == call
    assert execution._context.device_memory == memory
    assert execution._context.addresses == {"x": 1024, "a": 2048}
    assert execution.capturable
    execution.enqueue(7)
    assert execution._context.streams == [7]
    execution._context.works = False
    with pytest.raises(BoardError, match="could not start x"):
        execution.enqueue(7)


def test_sizes_that_are_not_fixed_are_refused() -> None:
    module = make_module("10.3.0")
    engine = Engine(module)
    engine.shapes["x"] = (-1, 3)
    with pytest.raises(BundleError, match="x: the size of 'x' is not fixed"):
        TensorRTEngine(Library(module), engine, "x")


def test_old_versions_are_refused() -> None:
    with pytest.raises(BoardError, match=r"TensorRT 8\.4\.1 is too old, edgebll needs 8\.5"):
        Library(make_module("8.4.1"))
    assert Library(make_module("8.5.2")).narrows
    assert not Library(make_module("10.3.0")).narrows


def _install(folder: Path, binary: str) -> None:
    package = folder / "tensorrt"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from tensorrt.inner import __version__\nclass NetworkDefinitionCreationFlag: pass\n")
    (package / "inner.py").write_text("__version__ = '10.3.0'\n")
    (package / binary).touch()


def test_the_systems_package_is_seen_from_a_virtual_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [str(tmp_path / "other"), str(tmp_path / "own")]
    _install(tmp_path / "other", "tensorrt.cpython-36m-aarch64-linux-gnu.so")
    _install(tmp_path / "own", f"tensorrt.cpython-3{sys.version_info[1]}-aarch64-linux-gnu.so")
    assert library_module._system_package("tensorrt", folders) == tmp_path / "own" / "tensorrt"
    assert library_module._system_package("tensorrt", folders[:1]) is None
    monkeypatch.setattr(library_module, "PACKAGES", ("tensorrt",))
    monkeypatch.setattr(library_module, "_system_package", lambda name: tmp_path / "own" / name)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for name in ("tensorrt", "tensorrt.inner"):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, name)
    found = load_library()
    assert (found.title, found.version) == ("TensorRT 10.3.0", (10, 3, 0))


def test_a_missing_or_broken_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_module, "PACKAGES", ("no_such_tensorrt",))
    with pytest.raises(MissingExtraError, match=r"not installed; on a Jetson: sudo apt install python3-libnvinfer"):
        load_library()
    (tmp_path / "broken_tensorrt.py").write_text("import no_such_libnvinfer\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(library_module, "PACKAGES", ("broken_tensorrt",))
    with pytest.raises(MissingExtraError, match=r"installed but does not load \(No module named 'no_such_libnvinfer'\)"):
        load_library()
