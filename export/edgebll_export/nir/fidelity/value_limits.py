"""What Norse 1.1.0 and snnTorch 1.0.0 make of the values of a neuron where they read NIR: read in their importers, measured.

Both integrate with forward Euler, compare with > and reset in the step of the spike, as the reference does. What is named here
is where a value of a node is left out, or where their importers refuse.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebll_export.nir.graph import GraphNode

#: The time step that snnTorch's importer supposes.
SNNTORCH_DT = 1e-4
#: Of a node and the time step: what is computed in another way, in words.
Limits = Callable[[GraphNode, float], list[str]]


def norse_limits(node: GraphNode, _: float) -> list[str]:
    """What Norse's importer leaves out of a neuron.

    Args:
        node: it.
    """
    found = [] if _is(node, "v_reset", 0.0) else ["v_reset is left out: neurons are reset to 0"]
    if node.kind in ("IF", "LIF") and not _is(node, "r", 1.0):
        found.append("r is left out")
    if node.kind == "CubaLIF" and not _is(node, "v_leak", 0.0):
        found.append("the synapse leaks to v_leak too")
    if node.kind == "LI":
        found.append("the importer of 1.1.0 has no LI, though NIR's list names it")
    return found


def snntorch_limits(node: GraphNode, dt: float) -> list[str]:
    """What snnTorch's importer leaves out of a neuron, or refuses.

    Args:
        node: it.
        dt: the time step of the graph in seconds.
    """
    found = [] if _is(node, "v_reset", 0.0) else ["v_reset is left out: neurons are reset to 0"]
    if node.kind == "IF":
        found.append("an IF becomes a Leaky with beta 0.9 that is reset by subtraction")
        found += [] if _is(node, "r", 1.0) else ["an r other than 1 is refused"]
    if node.primitive.taus and not np.isclose(dt, SNNTORCH_DT):
        found.append(f"the importer supposes a time step of {SNNTORCH_DT:g} s; it is given the right one here")
    found += [] if _is(node, "v_leak", 0.0) else ["v_leak is refused"]
    if node.kind == "CubaLIF" and not np.allclose(node.values["r"] * dt, node.values["tau_mem"]):
        found.append("an r other than tau_mem / dt is refused")
    if "v_threshold" in node.values and np.unique(node.values["v_threshold"]).size > 1:
        found.append("thresholds that differ are refused")
    return found


def _is(node: GraphNode, key: str, number: float) -> bool:
    return key not in node.values or bool(np.allclose(node.values[key], number))
