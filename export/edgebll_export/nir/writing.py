"""Writing a tree as a NIR file, with NIR's own package, so that others read it."""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgebll.kernel.support.atomic_files import check_parents, storage_errors, write_atomic
from edgebll.kernel.support.optional_imports import import_extra
from edgebll_export.nir.graph import SpikingGraph
from edgebll_export.nir.primitives import GRAPH


def write_graph(graph: SpikingGraph, path: Path) -> None:
    """Write a graph with all that its tree holds: nodes, edges, sub-graphs and metadata. An earlier file there is replaced.

    Args:
        graph: it.
        path: of the file.

    Raises:
        StorageError: the file cannot be written.
        MissingExtraError: the package nir is not installed.
    """
    nir = import_extra("nir", "nir", "writing NIR graphs")
    check_parents(path)
    stream = io.BytesIO()
    nir.write(stream, nir.dict2NIRNode(_unchecked(copy.deepcopy(dict(graph.tree)))))
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, stream.getvalue())


def _unchecked(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree for NIR's classes, without their check of shapes, which knows neither groups nor windows that are no squares."""
    nodes: Mapping[str, Any] = tree["nodes"]
    tree["nodes"] = {name: _unchecked(dict(node)) if node["type"] == GRAPH else dict(node) for name, node in nodes.items()}
    return {**tree, "type_check": False}
