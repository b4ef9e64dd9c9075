"""Passes over the nodes a GraphBuilder collected, before they become a model. Each is one file with its conditions.

Every pass keeps the results to the bit, or says in its first line what it changes; a test runs each alone and all together.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgebll_export.passes.absorb_sums import absorb_sums
from edgebll_export.passes.dead_nodes import in_order, without_dead_nodes
from edgebll_export.passes.drop_axes import drop_axes
from edgebll_export.passes.fuse_updates import fuse_updates
from edgebll_export.passes.merge_equal import merge_equal
from edgebll_export.passes.merge_reshapes import merge_reshapes
from edgebll_export.passes.plain_forms import plain_forms
from edgebll_export.passes.scale_factors import scale_factors
from edgebll_export.passes.scan_updates import scan_updates
from edgebll_export.passes.simplify import simplify
from edgebll_export.passes.transposes import merge_transposes
from edgebll_export.passes.value_names import Names, Nodes, Pass

#: In the order they run, once each but those that tidy up after others.
PASSES: tuple[Pass, ...] = (
    simplify,
    merge_transposes,
    merge_reshapes,
    drop_axes,
    scale_factors,
    absorb_sums,
    fuse_updates,
    merge_reshapes,
    merge_equal,
    scan_updates,
)

#: Of a compact target: none that joins updates, moves factors or hides transposes, because a planner looks for them.
COMPACT_PASSES: tuple[Pass, ...] = (plain_forms, simplify, merge_reshapes, merge_equal)

__all__ = ["COMPACT_PASSES", "PASSES", "Pass", "run_passes"]


def run_passes(nodes: Nodes, names: Names, passes: Sequence[Pass] | None = None) -> Nodes:
    """The nodes after all passes, in topological order, without those that no output needs.

    Args:
        nodes: in topological order; every output of the graph is copied by an Identity node.
        names: of all values of the graph.
        passes: in this order; by default those that suit the target.
    """
    nodes = without_dead_nodes(nodes)
    if passes is None:
        passes = COMPACT_PASSES if names.target.compact else PASSES
    for one in passes:
        nodes = without_dead_nodes(in_order(one(nodes, [node.input[0] for node in nodes if node.op_type == "Identity"], names)))
    return nodes
