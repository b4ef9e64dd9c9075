"""A bundle reads nothing outside its folder, and nothing but the bytes its manifest names."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.tiny_bundle import make_tiny_bundle

from edgebll.kernel.bundle import Bundle, open_bundle, parse_manifest, write_manifest
from edgebll.kernel.bundle.graph_check import MAX_FIELDS, check_graph
from edgebll.kernel.errors import BundleError
from edgebll.kernel.spec.file_entry import FileEntry
from edgebll_devices.runtimes import load_block
from edgebll_devices.storage.file_cache import FileCache


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def copy(bundle: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle.path, tmp_path / "copy"))


_ELSEWHERE = ["../x.onnx", "block0/../../x.onnx", "/etc/x.onnx", "block0//x.onnx", "./x.onnx", "block0/.x", "C:/x.onnx"]
_ELSEWHERE += [
    "block0\\x.onnx",
    "x.onnx\n",
    "x.onnx\0",
    "~/x.onnx",
    "block0/x.onnx/",
    "",
    "a/" * 120 + "x.onnx",
    "bl\u00f6ck/x.onnx",
]


@pytest.mark.parametrize("name", _ELSEWHERE)
def test_names_that_lead_elsewhere_are_refused(bundle: Bundle, name: str) -> None:
    document = json.loads((bundle.path / "manifest.json").read_text())
    document["files"][name] = {"sha256": "0" * 64, "size_bytes": 0}
    with pytest.raises(BundleError, match="not a plain path inside the bundle"):
        parse_manifest(json.dumps(document), "here")


@pytest.mark.parametrize("name", ["Block0/step.onnx", "block0/STEP.onnx", "MANIFEST.json", "manifest.json"])
def test_names_that_are_one_file_somewhere_are_refused(bundle: Bundle, name: str) -> None:
    document = json.loads((bundle.path / "manifest.json").read_text())
    document["files"][name] = {"sha256": "0" * 64, "size_bytes": 0}
    with pytest.raises(BundleError, match="which is another file's name"):
        parse_manifest(json.dumps(document), "here")


def _link_file(folder: Path) -> None:
    file, outside = folder / "block0" / "step.onnx", folder.parent / "outside"
    file.rename(outside)
    file.symlink_to(outside)


def _link_folder(folder: Path) -> None:
    (folder / "block0").rename(folder.parent / "outside")
    (folder / "block0").symlink_to(folder.parent / "outside", target_is_directory=True)


def _link_manifest(folder: Path) -> None:
    (folder / "manifest.json").rename(folder.parent / "outside")
    (folder / "manifest.json").symlink_to(folder.parent / "outside")


def _pipe(folder: Path) -> None:
    (folder / "block0" / "step.onnx").unlink()
    os.mkfifo(folder / "block0" / "step.onnx")


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize(
    ("change", "words"),
    [(_link_file, "is a link"), (_link_folder, "is a link"), (_link_manifest, "is a link"), (_pipe, "is not a file")],
)
def test_links_and_pipes_are_refused(copy: Path, change: Callable[[Path], None], words: str, verify: bool) -> None:
    change(copy)
    with pytest.raises(BundleError, match=words):
        open_bundle(copy, verify=verify).graph("block0", "step")


@pytest.mark.parametrize("verify", [True, False])
def test_what_is_changed_after_opening_is_not_used(copy: Path, verify: bool) -> None:
    opened = open_bundle(copy, verify=verify)
    for name, use in (
        ("step.onnx", lambda: opened.graph("block0", "step")),
        ("state.safetensors", lambda: opened.state("block0")),
    ):
        path = copy / "block0" / name
        content = bytearray(path.read_bytes())
        use()
        content[-1] ^= 1
        path.write_bytes(content)
        with pytest.raises(BundleError, match="its SHA-256 differs"):
            use()


def test_a_digest_never_leads_out_of_the_cache(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    cache = FileCache(tmp_path / "cache")
    with pytest.raises(BundleError, match="64 hex digits"):
        cache.has(FileEntry(str(victim), len("precious")))
    assert victim.read_text() == "precious"


def _secret_graph(folder: Path, location: str) -> onnx.ModelProto:
    """A graph whose constant lies in another file."""
    constant = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    constant.external_data.add(key="location", value=location)
    info = helper.make_tensor_value_info
    node = helper.make_node("Add", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", [info("x", TensorProto.FLOAT, [2])], [info("y", TensorProto.FLOAT, [2])], [constant])
    (folder / "secret").write_bytes(np.array([1, 2], np.float32).tobytes())
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _inner(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same, with the constant in a graph inside a node."""
    body = onnx.GraphProto()
    body.CopyFrom(model.graph)
    body.name = "inner"
    del model.graph.initializer[:]
    model.graph.node[0].CopyFrom(helper.make_node("If", ["x"], ["y"], then_branch=body, else_branch=body))
    return model


def _attribute(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same, with the constant as an attribute."""
    node = onnx.NodeProto(op_type="Constant", output=["w"])
    node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(model.graph.initializer[0])
    del model.graph.initializer[:]
    model.graph.node.insert(0, node)
    return model


def _no_location(model: onnx.ModelProto) -> onnx.ModelProto:
    model.graph.initializer[0].data_location = TensorProto.DEFAULT
    return model


def _plain(model: onnx.ModelProto) -> onnx.ModelProto:
    del model.graph.initializer[:]
    model.graph.initializer.append(numpy_helper.from_array(np.ones(2, np.float32), "w"))
    return model


def _node_domain(model: onnx.ModelProto) -> onnx.ModelProto:
    _plain(model).graph.node[0].domain = "com.microsoft"
    return model


def _opset_domain(model: onnx.ModelProto) -> onnx.ModelProto:
    _plain(model).opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model


def _function(model: onnx.ModelProto) -> onnx.ModelProto:
    _plain(model).functions.add(name="f", domain="mine")
    return model


def _sparse(model: onnx.ModelProto) -> onnx.ModelProto:
    _plain(model).graph.sparse_initializer.add(dims=[2])
    return model


def _training(model: onnx.ModelProto) -> onnx.ModelProto:
    _plain(model).training_info.add()
    return model


_GRAPHS: list[tuple[Callable[[onnx.ModelProto], onnx.ModelProto], str]] = [
    (lambda model: model, "data in another file"),
    (_inner, "data in another file"),
    (_attribute, "data in another file"),
    (_no_location, "data in another file"),
    (_node_domain, "ONNX's own operators alone"),
    (_opset_domain, "ONNX's own operators alone"),
    (_function, "must not have functions"),
    (_sparse, "must not have sparse constants"),
    (_training, "must not have training graphs"),
]


@pytest.mark.parametrize("runtime", ["onnxruntime", "reference"])
@pytest.mark.parametrize(("change", "words"), _GRAPHS)
@pytest.mark.parametrize("location", ["secret", "../secret", "/etc/passwd"])
def test_no_runtime_sees_a_graph_with_anything_outside(
    copy: Path, change: Callable[[onnx.ModelProto], onnx.ModelProto], words: str, location: str, runtime: str
) -> None:
    model = change(_secret_graph(copy.parent, location))
    (copy / "block0" / "step.onnx").write_bytes(model.SerializeToString())
    manifest = dataclasses.replace(open_bundle(copy, verify=False).manifest, files={})
    write_manifest(copy, manifest)
    with pytest.raises(BundleError, match=words), load_block(runtime, open_bundle(copy), "block0"):
        pytest.fail("it was loaded")


def test_the_rest_of_these_graphs_is_in_order(tmp_path: Path) -> None:
    check_graph(_plain(_secret_graph(tmp_path, "secret")).SerializeToString(), "here")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x18\0\0\0ORTM" + bytes(40), "own format"),
        (b"hello", "a number is cut off|should have|wire type"),
        (b"\x38\x01", "not an ONNX file"),
        (b"\x3a\x02\x0a\x00" * ((MAX_FIELDS >> 1) + 1), "more than .* fields"),
    ],
)
def test_what_is_no_graph_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(BundleError, match=words):
        check_graph(content, "here")


def test_graphs_are_not_nested_without_end() -> None:
    content = b""
    for _ in range(60):  # a graph, in an attribute, of a node
        for number in (6, 5, 1):
            size = len(content)
            content = bytes([number << 3 | 2, size & 0x7F | 0x80, size >> 7]) + content
    size = len(content)
    with pytest.raises(BundleError, match="nested more than"):
        check_graph(bytes([7 << 3 | 2, size & 0x7F | 0x80, size >> 7]) + content, "here")
