"""A layer's way through the time steps of a chunk, with gradients that stay within a time step.

It is gone twice. First without gradients: neurons one step after another, from what is carried here to what is carried on. Then
all steps at once: each from the state that it had, on its current with the layer's trace attached. So only what a neuron
remembers is unrolled over time, and the backward pass is one product a layer, however long the chunk is.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from edgebll.learning.networks.spiking.neuron import Neuron, SpikingNeuron
from edgebll.learning.online.firing_rates import Rates
from edgebll.learning.online.layers import OnlineLayer
from edgebll.learning.online.traces import advanced, attached, currents

#: Names of what a layer carries besides its neurons' own state: stages of the filters of its input, of a constant 1 and of its
#: own spikes of the step before.
INPUT, ONE, OWN = "input", "one", "own"
#: Of recurrent neurons: their spikes of the step before.
SPIKES = "z"
Carried = dict[str, Tensor]


class Way(NamedTuple):
    """A layer's time steps; nothing but the carrier has a gradient behind it.

    Attributes:
        traces: of the input (B, N, ...); of a static layer the sample itself (B, ...).
        ones: of a constant 1 (N,).
        own: of the layer's own spikes of the step before (B, N, F); without recurrent connections of no meaning.
        states: the neurons' before each step, by name (B N, ...).
        current: of each step (B, N, ...).
        carrier: of the same shape, with the gradient that a current's trace has.
        carried: what is carried on.
    """

    traces: Tensor
    ones: Tensor
    own: Tensor
    states: Carried
    current: Tensor
    carrier: Tensor
    carried: Carried


class Judged(NamedTuple):
    """What a local loss sees of a layer, with the gradient of each time step behind it.

    Attributes:
        out: what comes out (B, N, ...).
        potential: of neurons, less their threshold, before the reset (B, N, ...); None where nothing asks for it.
        rates: at which neurons fire; None where nothing asks for it.
    """

    out: Tensor
    potential: Tensor | None = None
    rates: Rates | None = None


class Passing:
    """How a rule goes through the time steps of a layer: by traces of what comes in, which all neurons share.

    Args:
        potentials: whether losses see potentials too.
    """

    def __init__(self, *, potentials: bool = False) -> None:
        self._potentials = potentials

    def at_rest(self, layer: OnlineLayer, x: Tensor, current: Tensor) -> Carried:
        """What a layer carries before the first step of a sample: zeros.

        Args:
            layer: it.
            x: an input of one time step (B, ...), or of a static layer the sample.
            current: one that it drives its neurons with (B, ...).
        """
        return {**filters_at_rest(layer, x), **neurons_at_rest(layer, current)}

    def run(self, layer: OnlineLayer, x: Tensor, steps: int, carried: Carried | None) -> tuple[Tensor, Judged, Carried]:
        """All time steps of a chunk.

        Args:
            layer: it.
            x: (B, N, ...); of a static layer (B, ...).
            steps: N.
            carried: what is carried here from the chunk before; None for a state of rest.

        Returns:
            What comes out (B, N, ...); what the local loss sees of it; and what is carried on.
        """
        way = walked(layer, x, steps, carried)
        current = attached(way.current, way.carrier)
        out = given(layer, way, current)
        potential = _potential(layer.neuron, way, current) if self._potentials else None
        return out, Judged(out, potential), way.carried


def filters_at_rest(layer: OnlineLayer, x: Tensor) -> Carried:
    """The filters of a layer's input before the first step of a sample: zeros.

    Args:
        layer: it.
        x: an input of one time step (B, ...), or of a static layer the sample.
    """
    filters = range(len(layer.decays))
    ones = {f"{ONE}{stage}": x.new_zeros(()) for stage in filters}
    return ones if layer.static else {**ones, **{f"{INPUT}{stage}": torch.zeros_like(x) for stage in filters}}


def neurons_at_rest(layer: OnlineLayer, current: Tensor) -> Carried:
    """A layer's neurons before the first step of a sample: zeros.

    Args:
        layer: it.
        current: one that it drives its neurons with (B, ...).
    """
    state = dict(layer.neuron.initial(current))
    if layer.recurrent is None:
        return state
    own = {f"{OWN}{stage}": torch.zeros_like(current) for stage in range(len(layer.decays))}
    return {**state, **own, SPIKES: torch.zeros_like(current)}


def walked(layer: OnlineLayer, x: Tensor, steps: int, carried: Carried | None) -> Way:
    """The neurons' way through a chunk; arguments are those of `Passing.run`."""
    traces, ones, filters = _filtered(layer, x, steps, carried or filters_at_rest(layer, x if layer.static else x[:, 0]))
    if layer.static:
        value, carrier = currents(layer, x, x)
        value, carrier = (part.unsqueeze(1).expand(-1, steps, *part.shape[1:]) for part in (value, carrier))
    else:
        value, carrier = currents(layer, x.flatten(0, 1), (traces / over(ones, traces)).flatten(0, 1))
        value, carrier = (part.reshape(len(x), steps, *part.shape[1:]) for part in (value, carrier))
    carrier = carrier * over(ones, carrier)
    with torch.no_grad():
        states, current, own, neurons = _stepped(layer, value, carried or neurons_at_rest(layer, value[:, 0]))
    if layer.recurrent is not None:
        again = layer.recurrent((own / over(ones, own)).flatten(0, 1)).reshape(own.shape)
        carrier = carrier + again * over(ones, own)
    states = {name: of.flatten(0, 1) for name, of in states.items()}
    return Way(traces, ones, own, states, current, carrier, {**filters, **neurons})


def given(layer: OnlineLayer, way: Way, current: Tensor) -> Tensor:
    """What comes out of the neurons (B, N, ...), each step from the state that it had, with gradients to the current."""
    out: Tensor = layer.neuron.step(way.states, current.flatten(0, 1))[1]
    return out.reshape(current.shape)


def _potential(neuron: Neuron, way: Way, current: Tensor) -> Tensor | None:
    """Potentials less their threshold (B, N, ...) of neurons that spike."""
    if not isinstance(neuron, SpikingNeuron):
        return None
    _, v, threshold = neuron.integrate(way.states, current.flatten(0, 1))
    return (v - threshold).reshape(current.shape)


def _filtered(layer: OnlineLayer, x: Tensor, steps: int, carried: Carried) -> tuple[Tensor, Tensor, Carried]:
    """Traces of the input (B, N, ...) and of a constant 1 (N,), and what is carried on of them."""
    decays = layer.decays
    with torch.no_grad():
        inside, one = (_stages(carried, name, len(decays)) for name in (INPUT, ONE))
        traces, ones = list[Tensor](), list[Tensor]()
        for step in range(steps):
            one = advanced(one, decays, 1.0)
            ones.append(one[-1])
            if not layer.static:
                inside = advanced(inside, decays, x[:, step])
                traces.append(inside[-1])
        after = {f"{ONE}{stage}": value for stage, value in enumerate(one)}
        after |= {f"{INPUT}{stage}": value for stage, value in enumerate(inside)}
        return (torch.stack(traces, 1) if traces else x), torch.stack(ones), after


def _stepped(layer: OnlineLayer, value: Tensor, carried: Carried) -> tuple[Carried, Tensor, Tensor, Carried]:
    """The neurons one step after another.

    Args:
        layer: whose neurons.
        value: what the layer's weights make of its input (B, N, ...).
        carried: here.

    Returns:
        Before each step the neurons' state by name (B, N, ...); the current and the trace of the layer's own spikes in each,
        the latter empty without recurrent connections; and what is carried on.
    """
    names, decays = layer.neuron.initial(value[:, 0]).keys(), layer.decays
    state = {name: carried[name] for name in names}
    own, spikes = _stages(carried, OWN, len(decays)), carried.get(SPIKES)
    before, given, traces = list[Carried](), list[Tensor](), list[Tensor]()
    for current in value.unbind(1):
        if layer.recurrent is not None and spikes is not None:
            own = advanced(own, decays, spikes)
            traces.append(own[-1])
            current = current + layer.recurrent(spikes)
        before.append(state)
        given.append(current)
        state, out = layer.neuron.step(state, current)
        spikes = out
    states = {name: torch.stack([one[name] for one in before], 1) for name in names}
    after = {**state, **{f"{OWN}{stage}": trace for stage, trace in enumerate(own)}}
    if layer.recurrent is not None and spikes is not None:
        after[SPIKES] = spikes
    return states, torch.stack(given, 1), torch.stack(traces, 1) if traces else value, after


def _stages(carried: Carried, name: str, count: int) -> list[Tensor]:
    return [carried[f"{name}{stage}"] for stage in range(count) if f"{name}{stage}" in carried]


def over(ones: Tensor, like: Tensor) -> Tensor:
    """The trace of a constant 1 (N,), to be multiplied with (B, N, ...)."""
    return ones.reshape(1, -1, *[1] * (like.ndim - 2))
