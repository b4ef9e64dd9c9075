"""ONNX files without the onnx package: the schema (field numbers of onnx.proto) and what of it edgebll's graphs use."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgebll.kernel.bundle.protobuf import Field, Schema, parse
from edgebll.kernel.errors import BundleError
from edgebll.kernel.spec.manifest import MAX_RANK, MAX_TENSOR_BYTES, TensorSpec
from edgebll.kernel.state.block_state import Array

#: Opsets whose operators are read.
OPSETS = range(17, 23)
#: ONNX number -> dtype.
DTYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 9: "bool", 10: "float16"}
_MAX_NODES = 100_000


@dataclass(frozen=True)
class Node:
    """One operator; an omitted optional input or output is "". An attribute may be an OnnxGraph, whose nodes have none."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def captured(self) -> frozenset[str]:
        """What a graph among the attributes takes from around the node."""
        return frozenset().union(*(value.free for value in self.attributes.values() if isinstance(value, OnnxGraph)))

    def __str__(self) -> str:
        return f"{self.operator} node {self.name!r}" if self.name else f"{self.operator} node of {', '.join(self.outputs)!r}"


@dataclass(frozen=True)
class OnnxGraph:
    """Nodes in the file's order, constants by name, inputs and outputs."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def free(self) -> frozenset[str]:
        """Names that are used and neither inputs, constants nor results of nodes."""
        own = {tensor.name for tensor in self.inputs} | set(self.constants) | {""}
        own.update(name for node in self.nodes for name in node.outputs)
        used = {tensor.name for tensor in self.outputs}.union(*(node.inputs for node in self.nodes))
        return frozenset(used - own)


def _one(name: str, kind: str, schema: Schema | None = None) -> Field:
    return Field(name, kind, schema=schema)


def _many(name: str, kind: str, schema: Schema | None = None) -> Field:
    return Field(name, kind, repeated=True, schema=schema)


_TENSOR = {
    1: _many("dims", "int"),
    2: _one("data_type", "int"),
    3: _one("segment", "bytes"),
    4: _many("float_data", "float"),
    5: _many("int32_data", "int"),
    7: _many("int64_data", "int"),
    8: _one("name", "text"),
    9: _one("raw_data", "bytes"),
    14: _one("data_location", "int"),
}
_PLAIN_ATTRIBUTE = {
    1: _one("name", "text"),
    2: _one("f", "float"),
    3: _one("i", "int"),
    4: _one("s", "text"),
    5: _one("t", "message", _TENSOR),
    7: _many("floats", "float"),
    8: _many("ints", "int"),
    9: _many("strings", "text"),
    20: _one("type", "int"),
}
_SHAPE = {1: _many("dim", "message", {1: _one("dim_value", "int"), 2: _one("dim_param", "text")})}
_TYPE = {1: _one("tensor_type", "message", {1: _one("elem_type", "int"), 2: _one("shape", "message", _SHAPE)})}
_VALUE = {1: _one("name", "text"), 2: _one("type", "message", _TYPE)}


def _graph_schema(attribute: Schema) -> Schema:
    node = {
        1: _many("input", "text"),
        2: _many("output", "text"),
        3: _one("name", "text"),
        4: _one("op_type", "text"),
        5: _many("attribute", "message", attribute),
        7: _one("domain", "text"),
    }
    return {
        1: _many("node", "message", node),
        5: _many("initializer", "message", _TENSOR),
        11: _many("input", "message", _VALUE),
        12: _many("output", "message", _VALUE),
        15: _many("sparse_initializer", "bytes"),
    }


#: A node may hold a graph, as Scan does, whose nodes hold none.
_GRAPH = _graph_schema({**_PLAIN_ATTRIBUTE, 6: _one("g", "message", _graph_schema(_PLAIN_ATTRIBUTE))})
_OPSET = {1: _one("domain", "text"), 2: _one("version", "int")}
_MODEL = {
    7: _one("graph", "message", _GRAPH),
    8: _many("opset_import", "message", _OPSET),
    25: _many("functions", "bytes"),
}

# Attribute types by onnx.proto's number: where their value is.
_ATTRIBUTE_VALUES = {1: "f", 2: "i", 3: "s", 4: "t", 5: "g", 6: "floats", 7: "ints", 8: "strings"}


def read_model(content: bytes) -> OnnxGraph:
    """Read an ONNX file's content.

    Raises:
        BundleError: not an ONNX file, another opset or domain, or something that is not known here.
    """
    model = parse(memoryview(content), _MODEL)
    opsets = {entry.get("domain", ""): entry.get("version", 0) for entry in model["opset_import"]}
    if set(opsets) - {"", "ai.onnx"} or len(opsets) != 1:
        raise BundleError(f"the graph must use the default operator domain alone, not {sorted(opsets)}")
    version = next(iter(opsets.values()))
    if version not in OPSETS:
        raise BundleError(f"the graph has opset {version}; known are {OPSETS.start} to {OPSETS.stop - 1}")
    graph = model.get("graph")
    if graph is None:
        raise BundleError("the file has no graph")
    if model["functions"]:
        raise BundleError("the graph has functions, which are not known here")
    return _graph(graph)


def _graph(graph: Mapping[str, Any]) -> OnnxGraph:
    if graph["sparse_initializer"]:
        raise BundleError("the graph has sparse constants, which are not known here")
    if len(graph["node"]) > _MAX_NODES:
        raise BundleError(f"the graph has {len(graph['node'])} nodes; the cap is {_MAX_NODES}")
    constants = {tensor.get("name", ""): read_tensor(tensor) for tensor in graph["initializer"]}
    if len(constants) != len(graph["initializer"]):
        raise BundleError("two constants share a name")
    inputs = (_value(value) for value in graph["input"] if value.get("name") not in constants)
    outputs = (_value(value) for value in graph["output"])
    return OnnxGraph(tuple(_node(node) for node in graph["node"]), constants, tuple(inputs), tuple(outputs))


def _node(message: Mapping[str, Any]) -> Node:
    if message.get("domain", "") not in ("", "ai.onnx"):
        raise BundleError(f"a node is of the operator domain {message['domain']!r}; only the default one is known")
    attributes = dict(_attribute(attribute) for attribute in message["attribute"])
    return Node(
        message.get("op_type", ""),
        message.get("name", ""),
        tuple(message["input"]),
        tuple(message["output"]),
        attributes,
    )


def _attribute(message: Mapping[str, Any]) -> tuple[str, Any]:
    name, number = message.get("name", ""), message.get("type", 0)
    key = _ATTRIBUTE_VALUES.get(number)
    if key is None or key not in message:
        raise BundleError(f"the attribute {name!r} has the type {number} and no value of it")
    value = message[key]
    if key == "g":
        return name, _graph(value)
    return name, read_tensor(value) if key == "t" else value


def _value(message: Mapping[str, Any]) -> TensorSpec:
    name = message.get("name", "")
    kind = message.get("type", {}).get("tensor_type", {})
    sizes = [dim.get("dim_value") for dim in kind.get("shape", {}).get("dim", [])]
    if "shape" not in kind or None in sizes:
        raise BundleError(f"{name!r} has no fixed shape")
    return TensorSpec(name, dtype_of(kind.get("elem_type", 0)), tuple(sizes))


def dtype_of(number: Any) -> str:
    """The dtype with this ONNX number.

    Raises:
        BundleError: not one edgebll knows.
    """
    if number not in DTYPES:
        raise BundleError(f"the ONNX data type {number!r} is not one of {', '.join(DTYPES.values())}")
    return DTYPES[number]


def read_tensor(message: Mapping[str, Any]) -> Array:
    """Content of a parsed TensorProto, read-only.

    Raises:
        BundleError: a negative or too large size, data that do not fit the shape, or data in another file.
    """
    dtype, dims = np.dtype(dtype_of(message.get("data_type", 0))), message["dims"]
    if len(dims) > MAX_RANK or any(size < 0 for size in dims):
        raise BundleError(f"a constant has the shape {dims}; at most {MAX_RANK} sizes of 0 or more fit")
    count = math.prod(dims)
    if math.prod(max(1, size) for size in dims) * dtype.itemsize > MAX_TENSOR_BYTES:  # a size of 0 must not hide others
        raise BundleError(f"a constant of shape {dims} exceeds the cap of {MAX_TENSOR_BYTES} bytes")
    if message.get("data_location", 0) or "segment" in message:
        raise BundleError("a constant keeps its data in another file; only constants inside the graph are known")
    if "raw_data" in message:
        if len(message["raw_data"]) != count * dtype.itemsize:
            raise BundleError(f"a constant of shape {dims} has {len(message['raw_data'])} bytes of {dtype.name}")
        value: Array = np.frombuffer(message["raw_data"], dtype.newbyteorder("<"))
    else:
        value = _listed(message, dtype, count)
    if sys.byteorder == "big":
        value = value.astype(dtype)
    value = value.reshape(dims).copy()
    value.flags.writeable = False
    return value


def _listed(message: Mapping[str, Any], dtype: np.dtype[Any], count: int) -> Array:
    key = {"float32": "float_data", "int64": "int64_data"}.get(dtype.name, "int32_data")
    numbers = message[key]
    if len(numbers) != count:
        raise BundleError(f"a constant should have {count} entries and has {len(numbers)}")
    try:
        if dtype.name == "float16":  # kept as the bits of the number
            return np.array(numbers, np.uint16).view(np.float16)
        return np.array(numbers, dtype)
    except OverflowError as error:
        raise BundleError(f"a constant has an entry outside {dtype.name}") from error
