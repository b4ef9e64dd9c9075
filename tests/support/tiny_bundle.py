"""A bundle of small dense blocks, made with onnx alone: quick to write, quick to load, and it really learns.

inner block:  a = relu(x w);  w' = w - lr x^T a / B             metrics: loss = mean(a^2)
last block:   a = x w;        w' = w - lr x^T (a - y) / B       metrics: loss = mean((a - y)^2)

A block at the end of a side stream also subtracts from every column of w' a tenth of the mean of what it receives. Sent are, as
the streams name them, told: the row means of w', and seen: x. So it does with a side input, whose mean over its features it
adds to x w in evaluation.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgebll.kernel.bundle import Bundle, bundle_writer, open_bundle, write_manifest
from edgebll.kernel.spec.edge_check import HOST, EdgeSpec, received_name
from edgebll.kernel.spec.manifest import FORMAT_VERSION, BlockSpec, Manifest, TensorSpec
from edgebll.kernel.spec.side_inputs import carrying, side_inputs
from edgebll.kernel.state.block_state import save_tensors

_OPSET = 17
#: Side streams among four blocks: forward over one block without lag, backward with lags of 1 and 2.
SIDES = (
    EdgeSpec("block0", "block2", ("told", "seen")),
    EdgeSpec("block2", "block1", ("told",), 1),
    EdgeSpec("block3", "block0", ("told",), 2),
)


def make_tiny_bundle(
    path: Path,
    *,
    blocks: int = 2,
    batch_size: int = 4,
    features: int = 6,
    num_classes: int = 3,
    seed: int = 0,
    sides: Sequence[EdgeSpec] = (),
    inputs: Mapping[str, Collection[int]] | None = None,
) -> Bundle:
    """Write a bundle of `blocks` dense blocks with these side streams, and inputs by who reads them, to `path`; open it."""
    random = np.random.default_rng(seed)
    specs = []
    with bundle_writer(path) as folder:
        for index in range(blocks):
            last = index == blocks - 1
            width = num_classes if last else features
            spec = _with_sides(_spec(f"block{index}", batch_size, features, width, num_classes, last), sides)
            read = [name for name, readers in (inputs or {}).items() if index in readers]
            spec = replace(spec, received=(*spec.received, *(replace(spec.input, name=name) for name in read)))
            specs.append(spec)
            (folder / spec.name).mkdir()
            _save(folder / spec.name / "forward.onnx", _forward(spec, last))
            _save(folder / spec.name / "step.onnx", _step(spec, last))
            state = {
                "w": (random.standard_normal((features, width)) / np.sqrt(features)).astype(np.float32),
                "steps": np.zeros((), np.int64),
            }
            save_tensors(folder / spec.name / "state.safetensors", state)
        manifest = Manifest(
            format_version=FORMAT_VERSION,
            network={"name": "tiny"},
            rule={"name": "tiny"},
            optimizer={"name": "sgd"},
            recipe={"lr": 0.1, "schedule": "constant", "warmup_steps": 0},
            batch_size=batch_size,
            num_classes=num_classes,
            input_shape=(features,),
            blocks=tuple(specs),
            edges=carrying((*_edges([spec.name for spec in specs]), *sides), specs),
        )
        write_manifest(folder, manifest)
    return open_bundle(path)


def make_batch(bundle: Bundle, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A random batch: x as the first block's input, y one-hot; for any bundle."""
    random = np.random.default_rng(seed)
    block = bundle.manifest.blocks[0]
    x = random.standard_normal(block.input.shape).astype(np.float32)
    *samples, num_classes = block.labels.shape
    return x, np.eye(num_classes, dtype=np.float32)[random.integers(0, num_classes, samples)]


def _spec(name: str, batch: int, features: int, width: int, num_classes: int, last: bool) -> BlockSpec:
    return BlockSpec(
        name=name,
        input=TensorSpec("x", "float32", (batch, features)),
        labels=TensorSpec("y", "float32", (batch, num_classes)),
        output=TensorSpec("a", "float32", (batch, width)),
        state=(TensorSpec("w", "float32", (features, width)), TensorSpec("steps", "int64", ())),
        scalars=("lr",),
        metrics=("loss",),
        forward_state=("w",),
        output_role="logits" if last else "activation",
    )


def _with_sides(spec: BlockSpec, sides: Sequence[EdgeSpec]) -> BlockSpec:
    shapes = {"told": spec.input.shape[1:], "seen": spec.input.shape}
    sent = dict.fromkeys(name for edge in sides if edge.source == spec.name for name in edge.tensors)
    received = [(edge.source, name) for edge in sides if edge.target == spec.name for name in edge.tensors]
    return replace(
        spec,
        sent=tuple(TensorSpec(name, "float32", shapes[name]) for name in sent),
        received=tuple(TensorSpec(received_name(source, name), "float32", shapes[name]) for source, name in received),
    )


def _edges(names: list[str]) -> tuple[EdgeSpec, ...]:
    chain = [HOST, *names]
    return tuple(
        EdgeSpec(source, target, ("x", "y") if source == HOST else ("a", "y"))
        for source, target in zip(chain, names, strict=False)
    )


def _value(spec: TensorSpec, name: str | None = None) -> onnx.ValueInfoProto:
    dtype = TensorProto.FLOAT if spec.dtype == "float32" else TensorProto.INT64
    return helper.make_tensor_value_info(name or spec.name, dtype, spec.shape)


def _activation(last: bool) -> list[onnx.NodeProto]:
    if last:
        return [helper.make_node("MatMul", ["x", "w"], ["a"])]
    return [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Relu", ["z"], ["a"])]


def _forward(spec: BlockSpec, last: bool) -> onnx.GraphProto:
    read = side_inputs(spec)
    nodes = _activation(last)
    for index, tensor in enumerate(read):
        nodes[-1].output[0] = f"a.{index}"
        nodes.append(helper.make_node("ReduceMean", [tensor.name], [f"mean.{index}"], axes=[1], keepdims=1))
        nodes.append(helper.make_node("Add", [f"a.{index}", f"mean.{index}"], ["a"]))
    given = [_value(tensor) for tensor in (spec.state[0], spec.input, *read)]
    return helper.make_graph(nodes, "forward", given, [_value(spec.output)])


def _step(spec: BlockSpec, last: bool) -> onnx.GraphProto:
    batch = spec.input.shape[0]
    nodes = _activation(last)
    error = "a"
    if last:
        nodes.append(helper.make_node("Sub", ["a", "y"], ["error"]))
        error = "error"
    nodes += [
        helper.make_node("Transpose", ["x"], ["xt"], perm=[1, 0]),
        helper.make_node("MatMul", ["xt", error], ["gradient_sum"]),
        helper.make_node("Mul", ["gradient_sum", "one_over_batch"], ["gradient"]),
        helper.make_node("Mul", ["gradient", "lr"], ["change"]),
        helper.make_node("Sub", ["w", "change"], ["w.0"]),
        *_sides(spec),
        helper.make_node("Add", ["steps", "one"], ["steps.next"]),
        helper.make_node("Mul", [error, error], ["square"]),
        helper.make_node("ReduceMean", ["square"], ["loss"], keepdims=0),
        helper.make_node("Reshape", ["loss", "length_one"], ["metrics"]),
    ]
    constants: dict[str, np.ndarray[Any, Any]] = {
        "one_over_batch": np.array(1 / batch, np.float32),
        "one": np.array(1, np.int64),
        "length_one": np.array([1], np.int64),
        "tenth": np.array(0.1, np.float32),
        "column": np.array([-1, 1], np.int64),
    }
    inputs = [*(_value(tensor) for tensor in spec.state), _value(spec.input), _value(spec.labels)]
    inputs.append(helper.make_tensor_value_info("lr", TensorProto.FLOAT, ()))
    inputs += map(_value, spec.received)
    outputs = [_value(tensor, f"{tensor.name}.next") for tensor in spec.state]
    outputs += [_value(spec.output), helper.make_tensor_value_info("metrics", TensorProto.FLOAT, (1,))]
    outputs += map(_value, spec.sent)
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    return helper.make_graph(nodes, "step", inputs, outputs, initializers)


def _sides(spec: BlockSpec) -> list[onnx.NodeProto]:
    """From w.0 to w.next by what is received, and what is sent."""
    nodes, w = [], "w.0"
    for index, tensor in enumerate(spec.received):
        mean, here = tensor.name, f"{tensor.name}.here"
        if len(tensor.shape) == 2:
            mean = f"{tensor.name}.mean"
            nodes.append(helper.make_node("ReduceMean", [tensor.name], [mean], axes=[0], keepdims=0))
        nodes += [
            helper.make_node("Mul", [mean, "tenth"], [f"{here}.row"]),
            helper.make_node("Reshape", [f"{here}.row", "column"], [here]),
            helper.make_node("Sub", [w, here], [f"w.{index + 1}"]),
        ]
        w = f"w.{index + 1}"
    nodes.append(helper.make_node("Identity", [w], ["w.next"]))
    for tensor in spec.sent:
        told = helper.make_node("ReduceMean", ["w.next"], ["told"], axes=[1], keepdims=0)
        nodes.append(told if tensor.name == "told" else helper.make_node("Identity", ["x"], ["seen"]))
    return nodes


def _save(path: Path, graph: onnx.GraphProto) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())
