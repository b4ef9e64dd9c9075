"""Nodes that compute the same from the same are made once. Bit-identical.

The builder already does so while it lowers; this takes what became equal since.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgebll_export.passes.value_names import Names, Nodes, with_inputs


def merge_equal(nodes: Nodes, outputs: Sequence[str], names: Names) -> Nodes:
    """See the module."""
    made: dict[tuple[object, ...], Sequence[str]] = {}
    renamed: dict[str, str] = {}
    result = []
    for old in nodes:
        node = with_inputs(old, renamed)
        attributes = sorted(one.SerializeToString(deterministic=True) for one in node.attribute)
        key = (node.op_type, len(node.output), *node.input, *attributes)
        if key in made and node.op_type != "Identity":
            renamed.update(zip(node.output, made[key], strict=True))
            continue
        made[key] = list(node.output)
        result.append(node)
    return result
