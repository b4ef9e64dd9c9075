"""Which layers of a model are looked into: as few as give the places that a cut needs."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks.cutting.call_costs import CallCost, call_costs, layer_macs
from edgebll.learning.networks.cutting.opened_trace import PREFIX, OpenedTrace, can_open, trace_opened
from edgebll.learning.networks.cutting.places import Place, places_of


@dataclass(frozen=True)
class Opened:
    """A model that was looked into.

    Attributes:
        trace: its calls.
        costs: of each call.
        places: where it may be cut.
        unit_ends: last calls of the smallest pieces, each with some product: what costs nothing stays with what is before it.
    """

    trace: OpenedTrace
    costs: list[CallCost]
    places: list[Place]
    unit_ends: list[int]


def open_for(model: nn.Module, x: Tensor, num_blocks: int) -> Opened:
    """Look into what costs more than half of a block's share, and into more where the places are too few.

    Args:
        model: it.
        x: a batch of samples.
        num_blocks: blocks it is to be cut into.

    Raises:
        ConfigError: what it does cannot be followed, or it does not take such samples.
    """
    names: set[str] = set()
    tried: set[str] = set()
    found = _opened(model, x, names)
    total = sum(cost.macs for cost in found.costs)
    for least in (total // (2 * num_blocks), 0):
        while candidates := _candidates(model, found, least, tried):
            for name in candidates:
                tried.add(name)
                with contextlib.suppress(ConfigError):  # what cannot be looked into is left whole
                    more = _opened(model, x, names | {name})
                    if len(more.unit_ends) > len(found.unit_ends):
                        names, found = names | {name}, more
        if len(found.unit_ends) >= num_blocks:
            break
    return found


def open_named(model: nn.Module, x: Tensor, names: tuple[str, ...]) -> Opened:
    """Look into all that holds the named layers.

    Args:
        model: it.
        x: a batch of samples.
        names: of layers.

    Raises:
        ConfigError: one of those that hold them cannot be looked into, or it does not take such samples.
    """
    parts = [name.split(".") for name in names]
    holders = {".".join(part[:depth]) for part in parts for depth in range(1, len(part))}
    return _opened(
        model, x, {name for name in holders if not isinstance(model.get_submodule(name), nn.ModuleList | nn.ModuleDict)}
    )


def _opened(model: nn.Module, x: Tensor, names: set[str]) -> Opened:
    trace = trace_opened(model, sorted(names))
    costs, places = call_costs(trace, model, x), places_of(trace)
    return Opened(trace, costs, places, _unit_ends(costs, [place.index for place in places]))


def _unit_ends(costs: Sequence[CallCost], places: Sequence[int]) -> list[int]:
    ends: list[int] = []
    for end in [*places, len(costs) - 1]:
        before, shorter = (ends[-1] + 1, ends[:-1]) if ends else (0, [])
        has_before, has_own = any(cost.macs for cost in costs[:before]), any(cost.macs for cost in costs[before : end + 1])
        ends = [*(ends if has_before and has_own else shorter), end]
    return ends


def _candidates(model: nn.Module, found: Opened, least: int, tried: set[str]) -> list[str]:
    macs = layer_macs(found.trace, found.costs)
    layers = {name.removeprefix(PREFIX): cost for name, cost in macs.items()}
    return [
        name for name, cost in layers.items() if cost >= least and name not in tried and can_open(model.get_submodule(name))
    ]
