"""What each platform makes of a graph: exact, approximate or unsupported, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgebll_export.nir.fidelity.platforms import APPROXIMATE, EXACT, PLATFORMS, UNSUPPORTED, Platform
from edgebll_export.nir.fidelity.value_limits import Limits, norse_limits, snntorch_limits
from edgebll_export.nir.graph import GraphNode, SpikingGraph
from edgebll_export.nir.primitives import INPUT, OUTPUT
from edgebll_export.nir.quantization import is_whole

_LIMITS: Mapping[str, Limits] = {"Norse": norse_limits, "snnTorch": snntorch_limits}
_ORDER = (EXACT, APPROXIMATE, UNSUPPORTED)


@dataclass(frozen=True)
class NodeSupport:
    """What a platform makes of a node.

    Attributes:
        node: its name.
        kind: NIR's primitive.
        level: "exact", "approximate" or "unsupported".
        reason: why; empty where it is exact.
    """

    node: str
    kind: str
    level: str
    reason: str


@dataclass(frozen=True)
class PlatformSupport:
    """What a platform makes of a graph.

    Attributes:
        platform: its name.
        through: the tool that reads NIR for it.
        chip: whether it is hardware.
        level: that of its worst node.
        nodes: every node.
    """

    platform: str
    through: str
    chip: bool
    level: str
    nodes: tuple[NodeSupport, ...]

    @property
    def reasons(self) -> str:
        """Why it is not exact, the nodes of each reason behind it."""
        worst: dict[str, list[str]] = {}
        for node in self.nodes:
            if node.level == self.level and node.reason:
                worst.setdefault(node.reason, []).append(node.node)
        return "; ".join(f"{reason} ({', '.join(names)})" for reason, names in worst.items())


def support_of(graph: SpikingGraph, dt: float | None) -> list[PlatformSupport]:
    """What every platform makes of a graph.

    Args:
        graph: it.
        dt: the time step in seconds; None where nothing depends on it.
    """
    found = []
    for platform in PLATFORMS:
        nodes = tuple(_node(platform, node, dt or 1.0) for node in graph.nodes.values() if node.kind not in (INPUT, OUTPUT))
        level = max((node.level for node in nodes), key=_ORDER.index, default=EXACT)
        found.append(PlatformSupport(platform.name, platform.through, platform.chip, level, nodes))
    return found


def _node(platform: Platform, node: GraphNode, dt: float) -> NodeSupport:
    if node.kind not in platform.primitives:
        return NodeSupport(node.name, node.kind, UNSUPPORTED, f"{platform.through} takes no {node.kind}")
    whole = platform.levels and "weight" in node.values and is_whole(node.values["weight"], platform.levels)
    reasons = [] if whole else [platform.reason(node.kind)]
    if node.primitive.is_neuron:
        limits = _LIMITS.get(platform.name, _usual_limits)(node, dt)
        reasons += limits
        if any(text.endswith("is refused") or text.endswith("are refused") or "has no LI" in text for text in limits):
            return NodeSupport(node.name, node.kind, UNSUPPORTED, "; ".join(limits))
    told = "; ".join(reason for reason in reasons if reason)
    return NodeSupport(node.name, node.kind, APPROXIMATE if told else EXACT, told)


def _usual_limits(node: GraphNode, _: float) -> list[str]:
    if "v_reset" in node.values and not np.allclose(node.values["v_reset"], 0.0):
        return ["a v_reset other than 0 is not known to be kept"]
    return []
