"""NIR's neurons, discretised: every one as the loop body that it is.

The order of a time step is: integrate, compare (v > v_threshold), reset to v_reset in the same step. Of current-based neurons
the synapse comes first, and the membrane sees the new current. So do Norse 1.1.0 (LIFBoxCell) and snnTorch 1.0.0 with
reset_delay=False. With d = dt / tau, the two ways to integrate are

- euler: v += d * (v_leak - v + r x), and i += d * (w_in x - i), forward Euler;
- exact: the solution of NIR's equations for an input that is constant over the step, e.g. v = v_inf + (v - v_inf) exp(-d).

IF and I add r x in each time step, without dt: NIR's v' = r x, taken for spikes of unit area, as Sinabs, Norse and SpiNNaker2's
tools do. At the start v and i are zero.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgebll_export.nir.graph import GraphNode, Shape

#: How neurons with time constants are integrated.
INTEGRATORS = ("euler", "exact")


@dataclass(frozen=True)
class NeuronStep:
    """What a node with a memory gives in one time step.

    Attributes:
        out: spikes, or the membrane of those without spikes (B, ...).
        v: the membrane after the reset; None of a Delay.
    """

    out: np.ndarray
    v: np.ndarray | None


#: Takes the input (B, ...) of one time step.
Neuron = Callable[[np.ndarray], NeuronStep]


def make_neuron(node: GraphNode, shape: Shape, dt: float, integrator: str, batch: int, dtype: np.dtype) -> Neuron:
    """A node with a memory, at rest.

    Args:
        node: it.
        shape: of its values, without the batch axis.
        dt: the time step in seconds; 1.0 where nothing depends on it.
        integrator: one of INTEGRATORS.
        batch: samples B that are computed side by side.
        dtype: to compute in.
    """
    values = {key: value.astype(dtype) for key, value in node.values.items() if _is_number(value)}
    if node.kind == "Delay":
        return _delay(values["delay"], shape, dt, batch)
    state = {name: np.zeros((batch, *shape), dtype) for name in ("v", "i")}
    integrate = _integration(node.kind, values, dtype.type(dt), integrator == "exact")

    def step(x: np.ndarray) -> NeuronStep:
        integrate(state, x)
        if not node.primitive.spikes:
            return NeuronStep(state["v"], state["v"])
        fires = state["v"] > values["v_threshold"]
        state["v"] = np.where(fires, values["v_reset"], state["v"])
        return NeuronStep(fires.astype(dtype), state["v"])

    return step


def _is_number(value: object) -> bool:
    return isinstance(value, (np.ndarray, float)) and np.asarray(value).dtype.kind == "f"


Integration = Callable[[dict[str, np.ndarray], np.ndarray], None]


def _integration(kind: str, p: dict[str, np.ndarray], dt: np.floating, exact: bool) -> Integration:
    """How v, and i where there is one, change in a time step."""
    if kind in ("IF", "I"):

        def add(state: dict[str, np.ndarray], x: np.ndarray) -> None:
            state["v"] = state["v"] + p["r"] * x

        return add
    if kind in ("LIF", "LI"):
        share = 1 - np.exp(-dt / p["tau"]) if exact else dt / p["tau"]

        def leak(state: dict[str, np.ndarray], x: np.ndarray) -> None:
            state["v"] = state["v"] + share * (p["v_leak"] - state["v"] + p["r"] * x)

        return leak
    return _exact_cuba(p, dt) if exact else _euler_cuba(p, dt)


def _euler_cuba(p: dict[str, np.ndarray], dt: np.floating) -> Integration:
    synapse, membrane = dt / p["tau_syn"], dt / p["tau_mem"]

    def integrate(state: dict[str, np.ndarray], x: np.ndarray) -> None:
        state["i"] = state["i"] + synapse * (p["w_in"] * x - state["i"])
        state["v"] = state["v"] + membrane * (p["v_leak"] - state["v"] + p["r"] * state["i"])

    return integrate


def _exact_cuba(p: dict[str, np.ndarray], dt: np.floating) -> Integration:
    fast, slow = np.exp(-dt / p["tau_syn"]), np.exp(-dt / p["tau_mem"])
    apart = p["tau_syn"] - p["tau_mem"]
    alike = np.abs(apart) < 1e-9 * p["tau_mem"]
    # What a unit of current that dies away leaves on the membrane after the step; the limit where both times are equal.
    left = np.where(alike, dt / p["tau_mem"] * slow, p["tau_syn"] / np.where(alike, 1, apart) * (fast - slow))

    def integrate(state: dict[str, np.ndarray], x: np.ndarray) -> None:
        target = p["w_in"] * x
        dying = state["i"] - target
        rest = p["v_leak"] + p["r"] * target
        state["v"] = rest + (state["v"] - rest) * slow + p["r"] * dying * left
        state["i"] = target + dying * fast

    return integrate


def _delay(delay: np.ndarray, shape: Shape, dt: float, batch: int) -> Neuron:
    """Values of `delay` seconds ago, in whole time steps; zero before the start."""
    steps = np.broadcast_to(np.rint(delay / dt).astype(np.int64), shape)
    longest = int(steps.max(initial=0))
    past: deque[np.ndarray] = deque(maxlen=longest + 1)

    def step(x: np.ndarray) -> NeuronStep:
        if not past:
            past.extend(np.zeros_like(x) for _ in range(longest))
        past.append(x)
        stacked = np.stack(past)
        index = np.broadcast_to(longest - steps, (1, batch, *shape))
        return NeuronStep(np.take_along_axis(stacked, index, axis=0)[0], None)

    return step
