"""Joining models one after another: the output of each is the input x of the next, and other inputs are shared by name."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import helper

#: What the input of a joined model is called; its output is named by what the last block gives.
INPUT = "x"


def join(models: Sequence[onnx.ModelProto], names: Sequence[str], output: str, title: str) -> onnx.ModelProto:
    """One model x, others -> `output` of models x, others -> a.

    Args:
        models: in order, of one opset, each with the input "x", maybe others, and the output "a"; the shapes of neighbours fit.
        names: what each is called; its values and weights get "NAME/" in front.
        output: name of the result.
        title: of the graph.
    """
    nodes, weights = [], []
    flowing = INPUT
    inputs = {value.name: value for model in models for value in model.graph.input if value.name != INPUT}
    inputs = {INPUT: next(value for value in models[0].graph.input if value.name == INPUT), **inputs}
    for index, (model, name) in enumerate(zip(models, names, strict=True)):
        given = output if index == len(models) - 1 else f"{name}/a"
        renamed = {**{value.name: value.name for value in model.graph.input}, INPUT: flowing, "a": given, "": ""}
        for tensor in model.graph.initializer:
            kept = onnx.TensorProto()
            kept.CopyFrom(tensor)
            kept.name = f"{name}/{tensor.name}"
            weights.append(kept)
        nodes += [_renamed(node, renamed, name) for node in model.graph.node]
        flowing = given
    graph = helper.make_graph(nodes, title, list(inputs.values()), [_called(models[-1].graph.output[0], output)], weights)
    return helper.make_model(
        graph, producer_name="edgebll", opset_imports=models[0].opset_import, ir_version=models[0].ir_version
    )


def _renamed(node: onnx.NodeProto, renamed: dict[str, str], prefix: str) -> onnx.NodeProto:
    """A node with other names of its values; those of a graph inside it too."""
    result = onnx.NodeProto()
    result.CopyFrom(node)
    result.name = f"{prefix}/{node.name}" if node.name else ""
    for names in (result.input, result.output):
        names[:] = [renamed.get(name, f"{prefix}/{name}") for name in names]
    for attribute in result.attribute:
        for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
            _rename_inside(graph, renamed, prefix)
    return result


def _rename_inside(graph: onnx.GraphProto, renamed: dict[str, str], prefix: str) -> None:
    for value in [*graph.input, *graph.output, *graph.initializer, *graph.value_info]:
        value.name = renamed.get(value.name, f"{prefix}/{value.name}")
    nodes = [_renamed(node, renamed, prefix) for node in graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _called(value: onnx.ValueInfoProto, name: str) -> onnx.ValueInfoProto:
    result = onnx.ValueInfoProto()
    result.CopyFrom(value)
    result.name = name
    return result
