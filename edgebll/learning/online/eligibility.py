"""Eligibility traces of single weights, as e-prop has them: for adaptive neurons, and for readouts that leak.

With E the trace of what comes in (`traces`), h_i = ds_i / dc_i the part of a time step's spike that its current has, and for
adaptive neurons, whose threshold rises by beta b, f_0 = dv / dc:

    e_ij,t = h_i,t (E_j,t - beta / f_0 a_ij,t)           a = 0 for others
    a_ij,t+1 = (1 - dt / tau_adapt) a_ij,t + e_ij,t      what b keeps of the weight's part in spikes
    m_ij,t = kappa m_ij,t-1 + e_ij,t                     what a readout that leaks by kappa sees of it

They are numbers for each sample and each weight: what they cost is the price of an exact gradient. A bias is a weight of a
constant 1, recurrent weights are those of the layer's own spikes of the step before.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks.spiking.adaptive import ALIF
from edgebll.learning.online.firing_rates import counted, counts_at_rest
from edgebll.learning.online.layers import OnlineLayer
from edgebll.learning.online.passing import Carried, Judged, Passing, Way, given, over, walked
from edgebll.learning.online.traces import attached

#: Names of what a layer carries besides what `Passing` does: m, a and the filtered spikes.
SEEN, ADAPTED, FILTERED = "seen", "adapted", "filtered"


class EligibilityPassing(Passing):
    """Through the time steps of a layer with traces of single weights, where they are needed.

    Args:
        kappa: what the readout keeps in a step, in [0, 1).
        rule: its name, for messages.
        rates: whether the loss sees firing rates too.
    """

    def __init__(self, kappa: float, rule: str, *, rates: bool = False) -> None:
        super().__init__()
        self._kappa, self._rule, self._rates = kappa, rule, rates

    def needed(self, layer: OnlineLayer) -> bool:
        """Whether the layer needs traces of single weights."""
        return layer.spikes and (self._kappa > 0 or isinstance(layer.neuron, ALIF))

    def at_rest(self, layer: OnlineLayer, x: Tensor, current: Tensor) -> Carried:
        """What `Passing` carries, and the eligibility traces."""
        carried = super().at_rest(layer, x, current)
        carried |= counts_at_rest(current) if self._rates and layer.spikes else {}
        if not self.needed(layer):
            return carried
        weights = _weights(layer, self._rule)
        return {**carried, **self._own(layer, current.new_zeros(len(current), *weights.shape))}

    def run(self, layer: OnlineLayer, x: Tensor, steps: int, carried: Carried | None) -> tuple[Tensor, Judged, Carried]:
        """All time steps of a chunk; of layers that need them with traces of single weights.

        What the local loss sees are the spikes as the readout filters them, sum_k kappa^k s_(t-k).
        """
        if not self.needed(layer):
            out, judged, after = super().run(layer, x, steps, carried)
            return self._rated(layer, out, (out, judged, after), carried)
        way, weights = walked(layer, x, steps, carried), _weights(layer, self._rule)
        out, parts = _parts(layer, way)
        with torch.no_grad():
            start = carried or self._own(layer, out.new_zeros(len(x), *weights.shape))
            eligible, adapted = self._eligible(layer, parts, _inputs(layer, way), start)
            seen, filtered, after = self._filtered(out, eligible, start)
        judged = Judged(attached(filtered, (weights * seen).sum(-1)))
        found = (out, judged, {**way.carried, **after, **adapted})
        spikes = attached(out, (weights * torch.stack(eligible, 1)).sum(-1)) if self._rates else out
        return self._rated(layer, spikes, found, carried)

    def _rated(
        self, layer: OnlineLayer, spikes: Tensor, found: tuple[Tensor, Judged, Carried], carried: Carried | None
    ) -> tuple[Tensor, Judged, Carried]:
        """What is found, and the firing rates of spikes that have each time step's gradient behind them."""
        if not (self._rates and layer.spikes):
            return found
        out, judged, after = found
        rates, counts = counted(spikes, carried)
        return out, judged._replace(rates=rates), {**after, **counts}

    def _own(self, layer: OnlineLayer, zeros: Tensor) -> Carried:
        adapted = {ADAPTED: zeros.clone()} if isinstance(layer.neuron, ALIF) else {}
        return {SEEN: zeros, FILTERED: torch.zeros_like(zeros[..., 0]), **adapted}

    def _eligible(self, layer: OnlineLayer, parts: Tensor, inputs: Tensor, start: Carried) -> tuple[list[Tensor], Carried]:
        """e of each step (B, F, K), and what a threshold that adapts carries on."""
        pairs = zip(parts.unbind(1), inputs.unbind(1), strict=True)
        if not isinstance(layer.neuron, ALIF):
            return [part.unsqueeze(-1) * trace.unsqueeze(1) for part, trace in pairs], {}
        adapted, found, share = start[ADAPTED], list[Tensor](), _share(layer.neuron)
        for part, trace in pairs:
            found.append(part.unsqueeze(-1) * (trace.unsqueeze(1) - share * adapted))
            adapted = adapted - layer.neuron.rate_of("tau_adapt") * adapted + found[-1]
        return found, {ADAPTED: adapted}

    def _filtered(self, out: Tensor, eligible: list[Tensor], start: Carried) -> tuple[Tensor, Tensor, Carried]:
        """m of each step (B, N, F, K), the filtered spikes (B, N, F), and what is carried on."""
        seen, filtered = start[SEEN], start[FILTERED]
        all_seen, all_filtered = list[Tensor](), list[Tensor]()
        for spikes, e in zip(out.unbind(1), eligible, strict=True):
            seen, filtered = self._kappa * seen + e, self._kappa * filtered + spikes
            all_seen.append(seen)
            all_filtered.append(filtered)
        return torch.stack(all_seen, 1), torch.stack(all_filtered, 1), {SEEN: seen, FILTERED: filtered}


def _share(neuron: ALIF) -> float | Tensor:
    """beta / f_0."""
    return neuron.own("beta") / (neuron.rate_of("tau") * neuron.own("r"))


def _weights(layer: OnlineLayer, rule: str) -> Tensor:
    """All weights of a layer's neurons, (F, K): of inputs, of a constant 1, of own spikes.

    Raises:
        ConfigError: currents are not made by one linear layer.
    """
    *before, linear = layer.weights or [nn.Identity()]
    stray = [one for one in (linear, *before) if not isinstance(one, nn.Linear | nn.Flatten)]
    stray += [one for one in before if isinstance(one, nn.Linear)]
    if stray or not isinstance(linear, nn.Linear):
        raise ConfigError(
            f"{rule} follows each weight of adaptive neurons, and of leaking readouts, behind one linear layer, not behind a "
            f"{type([*stray, linear][0]).__name__}; use --network-option norm=none, or other neurons and kappa=0, or decolle"
        )
    columns: list[Tensor] = [linear.weight]
    bias: Tensor | None = linear.bias
    if layer.recurrent is not None and layer.recurrent.bias is not None:
        bias = layer.recurrent.bias if bias is None else bias + layer.recurrent.bias
    columns += [] if bias is None else [bias.unsqueeze(1)]
    columns += [] if layer.recurrent is None else [layer.recurrent.weight]
    return torch.cat(columns, 1)


def _inputs(layer: OnlineLayer, way: Way) -> Tensor:
    """The traces of what the weights of `_weights` multiply, (B, N, K)."""
    linear = layer.weights[-1]
    ones = over(way.ones, way.current).expand(len(way.current), -1, 1)
    columns = [way.traces.flatten(1).unsqueeze(1) * ones if layer.static else way.traces.flatten(2)]
    has_bias = linear.bias is not None or (layer.recurrent is not None and layer.recurrent.bias is not None)
    columns += [ones] if has_bias else []
    columns += [] if layer.recurrent is None else [way.own]
    return torch.cat(columns, 2)


def _parts(layer: OnlineLayer, way: Way) -> tuple[Tensor, Tensor]:
    """What comes out of each step (B, N, F), and h: its derivative by the step's current."""
    with torch.enable_grad():
        current = way.current.detach().requires_grad_()
        out = given(layer, way, current)
        (part,) = torch.autograd.grad(out.sum(), current)
    return out.detach(), part
