"""Weights and decays of the precision that chips have, written back as the numbers that they stand for.

A quantised graph is a NIR graph like any other: weights are whole multiples of one number a layer. So whoever reads it loses
nothing by rounding again, and the reference simulation measures the drift.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebll.kernel.support.bounds import WrongValue
from edgebll_export.nir.build_graph import build_graph
from edgebll_export.nir.graph import SpikingGraph
from edgebll_export.nir.primitives import GRAPH, PRIMITIVES


@dataclass(frozen=True)
class Scheme:
    """How a chip's numbers are rounded.

    Attributes:
        levels: largest whole number that a weight can be.
        biases: whether biases are rounded to the weights' steps too.
        shifts: whether decays are shifts by whole bits: dt / tau is one half, a quarter, an eighth, ...
        summary: in words.
    """

    levels: int
    biases: bool
    shifts: bool
    summary: str


SCHEMES: dict[str, Scheme] = {
    "int8": Scheme(127, False, False, "weights of 8 bits with a scale a layer"),
    "spinnaker2": Scheme(127, True, False, "weights and biases of 8 bits with a scale a layer, potentials in float32"),
    "xylo": Scheme(127, True, True, "weights and biases of 8 bits with a scale a layer, decays as shifts by whole bits"),
}


def quantized(graph: SpikingGraph, scheme: str, dt: float | None) -> SpikingGraph:
    """A graph with the precision of a chip.

    Args:
        graph: it.
        scheme: one of SCHEMES.
        dt: the time step in seconds, for decays; None where there are none.

    Returns:
        Another graph; values keep their dtype.

    Raises:
        WrongValue: there is no such scheme.
    """
    if scheme not in SCHEMES:
        raise WrongValue("quantize", f"must be one of {', '.join(SCHEMES)}, not {scheme!r}")
    rules = SCHEMES[scheme]
    tree: dict[str, Any] = copy.deepcopy(dict(graph.tree))
    for node in _nodes(tree):
        if "weight" in node:
            node["weight"], step = _rounded(node["weight"], rules.levels)
            if rules.biases and "bias" in node:
                # A bias is added to the same sum; it may take more steps than a weight.
                node["bias"] = (step * np.rint(node["bias"] / step)).astype(node["bias"].dtype)
        for key in PRIMITIVES[node["type"]].taus if rules.shifts and dt else ():
            node[key] = _shifted(np.asarray(node[key]), dt or 1.0) if key != "delay" else node[key]
    return build_graph(tree, f"{graph.place} in {scheme}")


def is_whole(weight: np.ndarray, levels: int) -> bool:
    """Whether weights are multiples of one number, at most `levels` times it.

    Args:
        weight: any shape.
        levels: how often.
    """
    step = np.abs(weight).max(initial=0.0) / levels
    parts = weight / step if step else np.zeros(1)
    return bool(np.abs(parts - np.rint(parts)).max() < 1e-3)


def _nodes(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for node in tree["nodes"].values():
        if node["type"] == GRAPH:
            yield from _nodes(node)
        else:
            yield node


def _rounded(weight: np.ndarray, levels: int) -> tuple[np.ndarray, float]:
    """Weights as multiples of a step, and the step: the largest weight over `levels`."""
    step = float(np.abs(weight).max(initial=0.0)) / levels or 1.0
    return (step * np.rint(weight / step)).astype(weight.dtype), step


def _shifted(tau: np.ndarray, dt: float) -> np.ndarray:
    """Time constants whose dt / tau is a power of two, the nearest by its exponent."""
    bits = np.maximum(0, np.rint(np.log2(tau / dt)))
    shifted: np.ndarray = (dt * np.exp2(bits)).astype(tau.dtype if tau.dtype.kind == "f" else np.float64)
    return shifted
