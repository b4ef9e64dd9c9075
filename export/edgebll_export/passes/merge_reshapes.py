"""Reshapes of reshapes become one, those that change nothing go, and Squeeze and Unsqueeze become Reshape. Bit-identical.

Condition: no axis of size 0, which Reshape reads as "keep".
"""

from __future__ import annotations

from collections.abc import Sequence

from edgebll_export.passes.value_names import Names, Nodes, reshaped, with_inputs

_FAMILY = {"Reshape", "Squeeze", "Unsqueeze", "Flatten"}


def merge_reshapes(nodes: Nodes, outputs: Sequence[str], names: Names) -> Nodes:
    """See the module."""
    sources: dict[str, str] = {}  # reshaped value -> the value before all reshapes
    made: dict[tuple[str, tuple[int, ...]], str] = {}
    renamed: dict[str, str] = {}
    result = []
    for old in nodes:
        node = with_inputs(old, renamed)
        if node.op_type not in _FAMILY or 0 in names.shape_of(node.output[0]):
            result.append(node)
            continue
        source = sources.get(node.input[0], node.input[0])
        shape = names.shape_of(node.output[0])
        if names.shape_of(source) == shape:
            renamed[node.output[0]] = source
            continue
        if (source, shape) not in made:
            one = reshaped(names, source, shape)
            result.append(one)
            made[source, shape] = one.output[0]
        renamed[node.output[0]] = made[source, shape]
        sources[made[source, shape]] = source
    return result
