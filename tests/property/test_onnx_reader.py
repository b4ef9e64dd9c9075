"""The reference runtime's reader of ONNX files: it reads what onnx writes, and refuses everything else in one sentence."""

from __future__ import annotations

import contextlib
import tracemalloc
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgebll.kernel.bundle.graph_signature import Signature, check_signature
from edgebll.kernel.bundle.onnx_file import DTYPES, OPSETS, read_model, read_tensor
from edgebll.kernel.bundle.protobuf import Field, parse
from edgebll.kernel.errors import BundleError
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll_devices.runtimes.reference.interpreter import Program


def _model(**changes: object) -> onnx.ModelProto:
    """y = relu(x) w + 1, with a node of many attributes."""
    info = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Relu", ["x"], ["positive"], name="first"),
        helper.make_node("Gemm", ["positive", "w", "one"], ["y"], alpha=0.5, transB=1),
    ]
    constants = [
        numpy_helper.from_array(np.ones((2, 3), np.float32), "w"),
        numpy_helper.from_array(np.array(1, np.float32), "one"),
    ]
    inputs, outputs = [info("x", TensorProto.FLOAT, [4, 3])], [info("y", TensorProto.FLOAT, [4, 2])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, constants)
    opset = helper.make_opsetid(str(changes.get("domain", "")), int(str(changes.get("opset", 17))))
    return helper.make_model(graph, opset_imports=[opset], ir_version=8)


_CONTENT = _model().SerializeToString()
_X = np.arange(12, dtype=np.float32).reshape(4, 3) - 6


_SIGNATURE = Signature((TensorSpec("x", "float32", (4, 3)),), (TensorSpec("y", "float32", (4, 2)),))


def _run(content: bytes) -> np.ndarray:
    program = Program(read_model(content))
    check_signature("graph", _SIGNATURE, Signature(program.graph.inputs, program.graph.outputs))
    return program.run({"x": _X})["y"]


def test_reads_and_runs() -> None:
    np.testing.assert_array_equal(_run(_CONTENT), 0.5 * np.maximum(_X, 0) @ np.ones((3, 2)) + 1)


@pytest.mark.parametrize("cut", range(len(_CONTENT)))
def test_truncation_is_refused(cut: int) -> None:
    with pytest.raises(BundleError):
        _run(_CONTENT[:cut])


@settings(max_examples=400, deadline=None)
@given(st.integers(0, len(_CONTENT) - 1), st.integers(1, 255), st.binary(max_size=3))
def test_corruption_gives_a_result_or_one_sentence(position: int, flip: int, inserted: bytes) -> None:
    damaged = bytearray(_CONTENT)
    damaged[position] ^= flip
    damaged[position:position] = inserted
    with contextlib.suppress(BundleError):
        assert _run(bytes(damaged)).shape == (4, 2)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(BundleError):
        read_model(content)


@st.composite
def _arrays(draw: st.DrawFn) -> np.ndarray:
    dtype = draw(st.sampled_from(sorted(DTYPES.values())))
    shape = draw(st.lists(st.integers(0, 3), max_size=4))
    count = int(np.prod(shape))
    numbers = draw(st.lists(st.integers(0, 1 if dtype == "bool" else 100), min_size=count, max_size=count))
    return np.array(numbers, dtype).reshape(shape)


def _parsed(tensor: onnx.TensorProto) -> np.ndarray:
    model = helper.make_model(helper.make_graph([], "g", [], [], [tensor]), opset_imports=[helper.make_opsetid("", 17)])
    return read_model(model.SerializeToString()).constants[tensor.name]


@settings(deadline=None)
@given(_arrays())
def test_constants_round_trip_in_both_encodings(array: np.ndarray) -> None:
    raw = numpy_helper.from_array(array, "c")
    listed = helper.make_tensor("c", raw.data_type, array.shape, array.reshape(-1))
    for tensor in (raw, listed):
        value = _parsed(tensor)
        assert value.dtype == array.dtype
        np.testing.assert_array_equal(value, array)


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ({"data_type": 11, "dims": [1]}, "data type 11"),
        ({"data_type": 1, "dims": [-1], "raw_data": b""}, "sizes of 0 or more"),
        ({"data_type": 1, "dims": [1 << 40, 1 << 40], "raw_data": b""}, "exceeds the cap"),
        ({"data_type": 1, "dims": [2], "raw_data": b"1234"}, "has 4 bytes of float32"),
        ({"data_type": 1, "dims": [1], "data_location": 1}, "another file"),
        ({"data_type": 2, "dims": [1], "int32_data": [300]}, "outside uint8"),
    ],
)
def test_impossible_constants_are_refused(message: dict[str, object], sentence: str) -> None:
    empty: dict[str, list[Any]] = {"float_data": [], "int32_data": [], "int64_data": []}
    with pytest.raises(BundleError, match=sentence):
        read_tensor({**empty, **message})


@pytest.mark.parametrize("opset", [OPSETS.start - 1, OPSETS.stop])
def test_unknown_opsets_are_refused(opset: int) -> None:
    with pytest.raises(BundleError, match=f"opset {opset}; known are 17 to 22"):
        read_model(_model(opset=opset).SerializeToString())


def test_other_domains_are_refused() -> None:
    with pytest.raises(BundleError, match="default operator domain"):
        read_model(_model(domain="com.example").SerializeToString())


def _refused(change: object, sentence: str) -> None:
    model = _model()
    change(model.graph)
    with pytest.raises(BundleError, match=sentence):
        _run(model.SerializeToString())


def test_what_cannot_run_is_refused_by_name() -> None:
    _refused(lambda g: setattr(g.node[0], "op_type", "Einsum"), "Einsum node 'first' has an operator")
    _refused(lambda g: g.node[1].attribute.append(helper.make_attribute("speed", 1)), "attribute 'speed'")
    _refused(lambda g: g.node[0].input.append("x"), "Relu node 'first' has 2 inputs")
    _refused(lambda g: g.node[0].output.append("more"), "Relu node 'first' has 2 outputs")
    _refused(lambda g: g.node[0].input.__setitem__(0, "nobody"), "uses 'nobody', which nothing made before")
    _refused(lambda g: g.node[1].output.__setitem__(0, "x"), "makes a value that exists already")
    _refused(lambda g: g.node[1].output.__setitem__(0, "z"), "no node makes the output 'y'")
    _refused(lambda g: g.node[1].input.__setitem__(1, "one"), "Gemm node of 'y': Gemm takes matrices")
    _refused(lambda g: g.output[0].type.tensor_type.shape.dim[0].__setattr__("dim_value", 5), r"but is float32\[5, 2\]")
    _refused(lambda g: g.node[1].attribute.pop(), r"does not take the inputs float32\[4, 3\], float32\[2, 3\], float32\[\]")
    _refused(lambda g: g.input[0].type.tensor_type.shape.dim[0].__setattr__("dim_param", "n"), "no fixed shape")


def test_numbers_and_fields_are_strict() -> None:
    schema = {1: Field("n", "int"), 2: Field("t", "text"), 3: Field("many", "int", repeated=True)}
    read = lambda data: parse(memoryview(data), schema)  # noqa: E731
    assert read(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01") == {"n": -1, "many": []}
    assert read(b"\x1a\x02\x01\x02\x18\x03\x7a\x01z") == {"many": [1, 2, 3]}
    for data, sentence in {
        b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f": "more than 64 bits",
        b"\x08" + b"\x80" * 11: "more than 64 bits",
        b"\x08\x01\x08\x02": "'n' occurs twice",
        b"\x12\x01\xff": "not UTF-8",
        b"\x0b": "wire type 3",
        b"\x0a\x00": "wire type 2 instead of 0",
        b"\x00\x01": "number 0",
        b"\x12\x05ab": "should have 5 bytes and has 2",
        b"\x12\xff\xff\xff\xff\x0fab": "and has 2",
    }.items():
        with pytest.raises(BundleError, match=sentence):
            read(data)


@pytest.mark.parametrize("operator", ["ConstantOfShape", "Expand", "Tile", "Pad"])
def test_no_operator_takes_memory_without_bound(operator: str) -> None:
    info = helper.make_tensor_value_info
    huge = numpy_helper.from_array(np.array([0, 1 << 44] if operator == "Pad" else [1 << 44], np.int64), "n")
    inputs = ["n"] if operator == "ConstantOfShape" else ["x", "n"]
    graph = helper.make_graph(
        [helper.make_node(operator, inputs, ["y"])],
        "g",
        [info("x", TensorProto.FLOAT, [1])],
        [info("y", TensorProto.FLOAT, [1])],
        [huge],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match="exceed the cap"):
            Program(read_model(model.SerializeToString())).run({"x": np.ones(1, np.float32)})
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
