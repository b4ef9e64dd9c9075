"""A user's module in blocks: cut by cost, by memory, by stages, by numbers of units, or after layers by name."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.tasks import CLASSIFICATION, Task
from edgebll.learning.modules.module_record import untouched
from edgebll.learning.networks.block_network import BlockNetwork, Unit
from edgebll.learning.networks.cutting.opening import Opened, open_for, open_named
from edgebll.learning.networks.cutting.places import Place, alive_after, layer_ends, module_of
from edgebll.learning.networks.unit_network import AUTO, EVEN, INTO_BLOCKS, STAGES, UnitNetwork

#: Blocks of a network that can be cut into as many, where nobody says how many.
USUAL_BLOCKS = 4
_SAMPLES, _SHOWN = 2, 6


def cut_module(
    model: nn.Module,
    name: str,
    num_blocks: int | None,
    split: str,
    num_classes: int,
    input_shape: tuple[int, ...],
    task: Task = CLASSIFICATION,
) -> BlockNetwork:
    """A module in blocks, each a part of its calls in order; layers are the module's own, under their own names.

    Args:
        model: it; it is called with a batch of samples and returns class scores.
        name: what it is called, for messages and manifests.
        num_blocks: how many blocks; by default as many as is usual, or fewer where it has not as many places.
        split: "auto" or "even" (multiply-accumulates), "memory", "stages" (a block for each size of maps), numbers of
            units, e.g. "5,4,4", or the layers it is cut after, e.g. "features.3,features.7".
        num_classes: classes of the task.
        input_shape: of one sample.
        task: what the network is for.

    Raises:
        ConfigError: it cannot be cut like this; says which places would work.
    """
    if num_blocks == 1 and split in INTO_BLOCKS:  # as it is: nothing need be followed
        return _from(model, BlockNetwork([model], num_classes, input_shape, task=task))
    x = torch.randn(_SAMPLES, *input_shape, generator=torch.Generator().manual_seed(0))
    try:
        if _is_names(split):
            opened, ends = _by_names(model, x, split, num_blocks)
        else:
            opened, ends = _by_cost(model, x, num_blocks, split, input_shape)
        blocks = _parts(opened, ends, type(model).__name__)
        _check_same(model, blocks, x)
    except ConfigError as error:
        raise ConfigError(f"{name} cannot be cut: {error}") from error
    network = BlockNetwork(blocks, num_classes, input_shape, task=task)
    network.description["options"] = {"num_blocks": len(blocks), "split": _told(opened, ends, split)}
    return _from(model, network)


def _from(model: nn.Module, network: BlockNetwork) -> BlockNetwork:
    network.cut_from = (model,)
    return network


def _told(opened: Opened, ends: Sequence[int], split: str) -> str:
    """How to cut it here again: after layers by name where all have names that are no numbers of units, else as it was said."""
    names = [place.names[0] if place.names else "" for place in opened.places if place.index in ends]
    told = ",".join(names)
    return told if names and all(names) and _is_names(told) else split


def _is_names(split: str) -> bool:
    return split not in (*INTO_BLOCKS, STAGES) and not all(part.strip().isdecimal() for part in split.split(","))


def _by_names(model: nn.Module, x: Tensor, split: str, num_blocks: int | None) -> tuple[Opened, list[int]]:
    names = tuple(part.strip() for part in split.split(","))
    known = dict(model.named_modules())
    for name in names:
        if not name or name not in known:
            raise ConfigError(f"it has no layer {name!r}; {_working(open_for(model, x, USUAL_BLOCKS).places)}")
    opened = open_named(model, x, names)
    last, places = layer_ends(opened.trace), {place.index for place in opened.places}
    ends = []
    for name in names:
        if name not in last:
            raise ConfigError(f"its layer {name!r} is never called by itself; {_working(opened.places)}")
        if last[name] not in places:
            raise ConfigError(_crossed(opened, name, last[name]))
        ends.append(last[name])
    if sorted(set(ends)) != ends:
        raise ConfigError(f"{split} must name different places in the order of the network")
    if num_blocks not in (None, len(ends) + 1):
        raise ConfigError(f"{split} makes {len(ends) + 1} blocks, not {num_blocks}; leave the number of blocks out")
    return opened, ends


def _crossed(opened: Opened, name: str, index: int) -> str:
    """Why there is no place after a layer."""
    if index == len(opened.trace.nodes) - 1:
        return f"{name!r} is its end, after which nothing is left for a block; {_working(opened.places)}"
    alive = " and ".join(alive_after(opened.trace, index))
    return f"after {name!r} more than its result is needed ({alive}), as inside of a residual; {_working(opened.places, index)}"


def _working(places: Sequence[Place], near: int = 0) -> str:
    named = [place for place in places if place.names]
    nearest = sorted(sorted(named, key=lambda place: abs(place.index - near))[:_SHOWN], key=lambda place: place.index)
    more = f" and {len(named) - len(nearest)} others" if len(named) > len(nearest) else ""
    shown = ", ".join(place.names[0] for place in nearest)
    return f"cut it after {shown}{more}" if nearest else "there is no place where it could be cut; use one block"


def _by_cost(
    model: nn.Module, x: Tensor, num_blocks: int | None, split: str, input_shape: tuple[int, ...]
) -> tuple[Opened, list[int]]:
    wanted = num_blocks or (len(split.split(",")) if "," in split else USUAL_BLOCKS)
    opened = open_for(model, x, wanted)
    ends = opened.unit_ends
    units = _units(opened, ends, type(model).__name__)
    network = UnitNetwork(units, None, 0, input_shape, "it", stages=_stages(opened, ends))
    if num_blocks is None and split in INTO_BLOCKS:
        num_blocks = min(USUAL_BLOCKS, len(units))
    sizes = network.sizes(num_blocks, EVEN if split == AUTO else split)  # a unit's layers are its multiply-accumulates here
    return opened, [ends[end - 1] for end in itertools.accumulate(sizes)][:-1]


def _units(opened: Opened, ends: Sequence[int], name: str) -> list[Unit]:
    starts = [0, *(end + 1 for end in ends[:-1])]
    macs = [sum(cost.macs for cost in opened.costs[a : b + 1]) for a, b in zip(starts, ends, strict=True)]
    modules = _parts(opened, ends[:-1], name)
    return [Unit(module, cost) for module, cost in zip(modules, macs, strict=True)]


def _stages(opened: Opened, ends: Sequence[int]) -> tuple[int, ...]:
    """Units of each stage of maps of one size; what gives no maps belongs to the stage before it."""
    stages: list[int] = []
    size: tuple[int, ...] | None = None
    for end in ends:
        shape = opened.costs[end].shape
        found = shape[1:] if shape is not None and len(shape) == 3 else size
        if stages and found in (size, None):
            stages[-1] += 1
        else:
            stages.append(1)
        size = found
    return tuple(stages) if len(stages) > 1 else ()


def _parts(opened: Opened, ends: Sequence[int], name: str) -> list[nn.Module]:
    edges = [-1, *ends, len(opened.trace.nodes) - 1]
    return [module_of(opened.trace, start + 1, end, name) for start, end in itertools.pairwise(edges)]


def _check_same(model: nn.Module, blocks: Sequence[nn.Module], x: Tensor) -> None:
    """Refuse a cut after which something else is computed: code that a trace cannot see, such as a counter in Python."""
    for training in (False, True):
        whole, cut = (_result(model, parts, x, training) for parts in ([model], blocks))
        if whole is not None and (cut is None or not torch.equal(whole, cut)):
            mode = "training" if training else "evaluation"
            raise ConfigError(f"in {mode} its blocks in a row would not compute what it does; give a list of blocks instead")


def _result(model: nn.Module, parts: Sequence[nn.Module], x: Tensor, training: bool) -> Tensor | None:
    """What modules in a row give, with the same numbers drawn each time; None if one of them fails."""
    with untouched(model), torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        if not training:
            model.eval()
        a = x.clone()
        try:
            for part in parts:
                a = part(a)
        except Exception:  # anything can happen in a module of the user's own; the network's own checks say what
            return None
        return a
