"""Scan in the reference runtime, a graph inside a graph, against ONNX Runtime."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from support.graphs import run_model

from edgebll.kernel.bundle.onnx_file import read_model
from edgebll.kernel.errors import BundleError
from edgebll_devices.runtimes.reference.interpreter import Program

ROWS, COLUMNS = 5, 3
NODE = helper.make_node


def info(name: str, *shape: int, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def model_of(body: onnx.GraphProto, inputs: Sequence[str], outputs: Sequence[onnx.ValueInfoProto], **options: Any) -> bytes:
    """A graph of x, y (5, 3), z (3,), s () with what is made of s, of a Scan over `inputs`, and of its first output."""
    nodes = [
        NODE("Mul", ["s", "s"], ["square"]),
        NODE("Neg", ["square"], ["minus"]),
        NODE("Scan", inputs, [value.name for value in outputs], body=body, **options),
        NODE("Abs", [outputs[0].name], ["size"]),
    ]
    shape = [dimension.dim_value for dimension in outputs[0].type.tensor_type.shape.dim]
    given = [info("x", ROWS, COLUMNS), info("y", ROWS, COLUMNS), info("z", COLUMNS), info("s")]
    graph = helper.make_graph(nodes, "g", given, [*outputs, info("size", *shape)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def update(**changes: Any) -> onnx.GraphProto:
    """p, q -> new = p - square q, half = new / 2: a scalar from around, a constant inside, one value of no further use."""
    nodes = changes.get("nodes") or [
        NODE("Mul", ["square", "q"], ["step"]),
        NODE("Sub", ["p", "step"], ["new"]),
        NODE("Div", ["new", "two"], ["half"]),
        NODE("Exp", ["minus"], ["unused"]),
    ]
    outputs = changes.get("outputs") or [info("new", COLUMNS), info("half", COLUMNS)]
    constants = [numpy_helper.from_array(np.array(2, np.float32), "two")]
    return helper.make_graph(nodes, "row", [info("p", COLUMNS), info("q", COLUMNS)], outputs, constants)


BOTH = [info("a", ROWS, COLUMNS), info("b", ROWS, COLUMNS)]
SUMS = helper.make_graph(
    [NODE("Add", ["t", "p"], ["total"]), NODE("Identity", ["total"], ["so_far"])],
    "row",
    [info("t", COLUMNS), info("p", COLUMNS)],
    [info("total", COLUMNS), info("so_far", COLUMNS)],
)


@pytest.mark.parametrize(
    "content",
    [
        model_of(update(), ["x", "y"], BOTH, num_scan_inputs=2),
        model_of(update(), ["x", "x"], BOTH, num_scan_inputs=2),
        model_of(update(outputs=[info("half", COLUMNS)]), ["x", "y"], BOTH[:1], num_scan_inputs=2),
        model_of(SUMS, ["z", "x"], [info("a", COLUMNS), info("b", ROWS, COLUMNS)], num_scan_inputs=1),
    ],
)
def test_agrees_with_onnx_runtime(content: bytes) -> None:
    rng = np.random.default_rng(0)
    shapes = {"x": (ROWS, COLUMNS), "y": (ROWS, COLUMNS), "z": (COLUMNS,), "s": ()}
    inputs = {name: np.asarray(rng.standard_normal(shape), np.float32) for name, shape in shapes.items()}
    expected = run_model(onnx.load_from_string(content), inputs)
    actual = Program(read_model(content)).run(inputs)
    assert list(actual) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("body", "inputs", "options", "words"),
    [
        (update(nodes=[NODE("Add", ["p", "nowhere"], ["new"])]), ["x", "y"], {}, "uses 'nowhere', which nothing made before"),
        (update(nodes=[NODE("Add", ["p", "size"], ["new"])]), ["x", "y"], {}, "uses 'size', which nothing made before"),
        (update(nodes=[NODE("Add", ["p", "q"], ["square"])]), ["x", "y"], {}, "makes a value that exists already"),
        (update(nodes=[NODE("Hardmax", ["p"], ["new"])]), ["x", "y"], {}, "does not have"),
        (update(nodes=[NODE("Scan", ["p"], ["new"], body=SUMS, num_scan_inputs=1)]), ["x", "y"], {}, "type 5 and no value"),
        (update(), ["x", "y"], {"scan_input_directions": [1, 0]}, "the attribute 'scan_input_directions'"),
        (update(), ["x"], {"num_scan_inputs": 1}, "the graph inside takes 2 inputs, not 1"),
        (update(), ["x", "y"], {"num_scan_inputs": 3}, "3 of 2 inputs cannot be scanned"),
        (update(), ["x", "z"], {}, "the scanned inputs have 3, 5 rows"),
        (update(), ["z", "z"], {}, r"'p' must be float32\[3\], but is float32\[\]"),
    ],
)
def test_everything_else_is_refused(body: onnx.GraphProto, inputs: list[str], options: dict[str, Any], words: str) -> None:
    content = model_of(body, inputs, BOTH, **{"num_scan_inputs": 2, **options})
    values = {"x": np.ones((ROWS, COLUMNS), np.float32), "z": np.ones(COLUMNS, np.float32), "s": np.ones((), np.float32)}
    with pytest.raises(BundleError, match=words):
        Program(read_model(content)).run({**values, "y": values["x"]})


_CONTENT = model_of(update(), ["x", "y"], BOTH, num_scan_inputs=2)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(_CONTENT) - 1), st.integers(1, 255), st.binary(max_size=2))
def test_damaged_files_give_a_result_or_one_sentence(position: int, flip: int, inserted: bytes) -> None:
    damaged = bytearray(_CONTENT)
    damaged[position] ^= flip
    damaged[position:position] = inserted
    rows = np.ones((ROWS, COLUMNS), np.float32)
    with contextlib.suppress(BundleError):
        results = Program(read_model(bytes(damaged))).run({"x": rows, "y": rows, "z": rows[0], "s": np.ones((), np.float32)})
        assert results
