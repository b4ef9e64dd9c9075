"""Reading a NIR file: what is in it as a tree of plain values, or one sentence that says what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgebll.kernel.errors import ConfigError, DataError, ExportError
from edgebll.kernel.support.optional_imports import import_extra
from edgebll_export.nir.build_graph import build_graph
from edgebll_export.nir.graph import SpikingGraph
from edgebll_export.nir.primitives import GRAPH, PRIMITIVES

#: A file that says it holds more numbers than this is not read: 2 GiB of float32.
_MOST_NUMBERS = 1 << 29


def read_graph(path: str | os.PathLike[str]) -> SpikingGraph:
    """Read and check a NIR graph.

    Args:
        path: a file that a tool wrote with `nir.write`.

    Returns:
        The graph, ready to be computed.

    Raises:
        ConfigError: there is no such file. DataError: it is cut off, or no NIR file.
        ExportError: the graph has a node that is not known, values or shapes that do not fit, or a cycle without a neuron.
        MissingExtraError: the package nir is not installed.
    """
    place = Path(path)
    return build_graph(read_tree(place), str(path))


def read_tree(place: Path) -> dict[str, Any]:
    """The graph of a file as a tree: parameter -> value, with the nodes of graphs under "nodes".

    Args:
        place: the file.

    Raises:
        ConfigError: there is no such file. DataError: it is cut off, or no NIR file.
        ExportError: a node is of no known kind, or lacks a parameter.
        MissingExtraError: the package nir is not installed.
    """
    h5py = import_extra("h5py", "nir", "reading NIR graphs")
    if not place.is_file():
        raise ConfigError(f"there is no file {place}; give a graph that a tool wrote with nir.write, e.g. net.nir")
    try:
        with h5py.File(place, "r") as file:
            if not isinstance(file.get("node"), h5py.Group):
                raise DataError(f"{place} is an HDF5 file without a NIR graph (it has no group 'node'); give a .nir file")
            tree = _plain(file["node"], str(place), h5py)
    except (OSError, RuntimeError, KeyError) as error:
        raise DataError(
            f"{place} cannot be read as HDF5, which NIR files are ({error}); it is cut off or of another kind: get it again"
        ) from error
    found = tree.get("type")
    if not isinstance(found, str) or found != GRAPH:
        raise ExportError(
            f"{place} holds a single {found if isinstance(found, str) else 'node'}, not a graph; write it inside a nir.NIRGraph"
        )
    return _checked(tree, str(place), "")


def _plain(group: Any, place: str, h5py: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in group.items():
        if isinstance(item, h5py.Group):
            found[key] = _plain(item, place, h5py)
            continue
        if not isinstance(item, h5py.Dataset):
            raise DataError(f"{place} holds {group.name}/{key}, which is no HDF5 data set; get the file again")
        if item.size is not None and item.size > _MOST_NUMBERS:
            raise DataError(f"{place} says that {group.name}/{key} has {item.size} numbers, more than {_MOST_NUMBERS}")
        value = item[()]
        found[key] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return found


def _checked(tree: dict[str, Any], place: str, prefix: str) -> dict[str, Any]:
    """The tree with sub-graphs checked, and edges as pairs of names."""
    nodes = tree.get("nodes")
    if not isinstance(nodes, Mapping) or not nodes:
        raise ExportError(f"{place}: the graph {prefix or 'itself'} has no nodes; nothing can be computed")
    checked: dict[str, Any] = {}
    for name, node in nodes.items():
        full = f"{prefix}{name}"
        kind = node.get("type") if isinstance(node, Mapping) else None
        kind = kind if isinstance(kind, str) else None
        if kind == GRAPH:
            checked[name] = _checked(dict(node), place, f"{full}.")
            continue
        if kind not in PRIMITIVES:
            known = ", ".join(PRIMITIVES)
            raise ExportError(
                f"{place}: node {full} is a {kind or 'thing without a type'}, which is not known; known are {known}"
            )
        lacking = [key for key in PRIMITIVES[kind].needed if key not in node]
        if lacking:
            raise ExportError(f"{place}: node {full} ({kind}) lacks {', '.join(lacking)}; write it again with nir 1.0 or newer")
        checked[name] = dict(node)
    return {**tree, "nodes": checked, "edges": _edges(tree.get("edges"), place, prefix)}


def _edges(found: Any, place: str, prefix: str) -> list[tuple[str, str]]:
    pairs = np.asarray([] if found is None else found, dtype=object)
    if pairs.size and (pairs.ndim != 2 or pairs.shape[1] != 2):
        raise ExportError(f"{place}: the edges of the graph {prefix or 'itself'} are no pairs of names; write the file again")
    return [(_text(one), _text(other)) for one, other in pairs.reshape(-1, 2)]


def _text(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
