"""The parameters of a node: numbers of the kind that it needs, finite, and of a sign that means something."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebll.kernel.errors import ExportError
from edgebll_export.nir.graph import GraphNode, SpikingGraph

#: What stands beside the parameters and is none.
_BESIDE = ("metadata", "input_type", "input_shape", "type")
_PADDINGS = ("same", "valid")
#: What counts windows must be positive.
_POSITIVE = ("stride", "dilation", "groups", "kernel_size", "shape")
#: No axis has so many.
_FAR = 1 << 40
#: A delay keeps all that is on the way.
_MOST_STEPS = 10_000


def checked_values(node: GraphNode, place: str) -> GraphNode:
    """A node whose parameters are arrays: of int64 where they count, of floats otherwise.

    Args:
        node: as the file has it.
        place: the file, for messages.

    Raises:
        ExportError: a parameter is no number, not finite, or means nothing, e.g. a negative time constant.
    """
    values: dict[str, Any] = {}
    for key, value in node.values.items():
        if key in _BESIDE or (key == "padding" and isinstance(value, str) and value in _PADDINGS):
            values[key] = value
        elif key in node.primitive.whole:
            values[key] = _whole(node, key, value, place)
        else:
            values[key] = _floats(node, key, value, place)
    return GraphNode(node.name, node.kind, values)


def _whole(node: GraphNode, key: str, value: Any, place: str) -> np.ndarray:
    array = np.asarray(value)
    counts = array.dtype.kind in "iuf" and bool(np.all((array == np.floor(array)) & (np.abs(array) < _FAR)))
    if not counts:
        raise ExportError(f"{place}: {key} of {node} must be whole numbers, not {value!r}")
    if array.ndim > 1 or (key != "shape" and array.size not in (1, _axes(node, key))):
        raise ExportError(f"{place}: {key} of {node} has the shape {array.shape}; it must be {_counts(_axes(node, key))}")
    if array.size and key in (*_POSITIVE, "padding") and array.min() < (key in _POSITIVE):
        raise ExportError(f"{place}: {key} of {node} is {array.min()}; it must be at least {int(key in _POSITIVE)}")
    return array.astype(np.int64)


def _axes(node: GraphNode, key: str) -> int:
    """How many numbers a parameter that counts may have, beside one for all axes."""
    return 2 if node.kind.endswith("2d") and key != "groups" else 1


def _counts(axes: int) -> str:
    return "one number" if axes == 1 else "one number, or one for each of two axes"


def _floats(node: GraphNode, key: str, value: Any, place: str) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise ExportError(f"{place}: {key} of {node} must be numbers, not {array.dtype}")
    array = array if array.dtype.kind == "f" else array.astype(np.float64)
    if not np.all(np.isfinite(array)):
        raise ExportError(f"{place}: {key} of {node} holds NaN or infinity; train or write the network again")
    if key in node.primitive.taus and array.size and array.min() <= 0 and not (key == "delay" and array.min() == 0):
        raise ExportError(f"{place}: {key} of {node} is {array.min():g} s; a time must be above 0")
    return array


def check_times(graph: SpikingGraph, dt: float) -> None:
    """Refuse time constants below the time step, which leaps over them or whose unit is wrong, and delays of too many steps.

    Args:
        graph: the graph.
        dt: the time step in seconds.

    Raises:
        ExportError: there is one.
    """
    for node in graph.nodes.values():
        for key in node.primitive.taus:
            shortest = float(np.min(node.values[key], initial=np.inf))
            # dt / tau of exactly one is in use (no memory of the step before), and rounding moves it.
            if key != "delay" and shortest < dt * (1 - 1e-6):
                raise ExportError(
                    f"{graph.place}: {key} of {node} is {shortest:g} s, below the time step of {dt:g} s; times are in seconds "
                    "in NIR: correct it, or give a smaller --dt"
                )
            if key == "delay" and np.max(node.values[key], initial=0.0) > _MOST_STEPS * dt:
                raise ExportError(
                    f"{graph.place}: {node} delays by {np.max(node.values[key]):g} s, more than {_MOST_STEPS} time steps of "
                    f"{dt:g} s; times are in seconds in NIR: correct it, or give a larger --dt"
                )
