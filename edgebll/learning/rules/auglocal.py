"""AugLocal: each block's auxiliary network resembles what follows it in the network.

Ma, Wu, Si, Liu, Tan, "Scaling supervised local learning with augmented auxiliary networks" (ICLR 2024, arXiv 2402.17318).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.tasks import Task
from edgebll.learning.folded import MAX_AXES, folded_shape
from edgebll.learning.heads import pool_to, shape_after
from edgebll.learning.networks import PlacedUnit
from edgebll.learning.objective import BlockPlace, Objective, PredictiveObjective
from edgebll.learning.rule import Rule


@dataclass(frozen=True)
class AugLocal(Rule):
    """L = CE of an auxiliary network made like later units of the network; depths fall along the blocks.

    With n units and a block of index k of K that ends in unit i, its auxiliary network has

        d_k = max(1, round(d (1 - s) + s)),  s = tau k / (K - 2)                units,
        built like the units round(i + (n - 1 - i) j / d_k), j = 1..d_k,        or all later ones where there are not more,

    then global average pooling and a linear layer, which batch norm precedes where d_k = 1. Where every position of a sequence
    has a label, the linear layer alone follows, on each position.

    Attributes:
        depth: d, units of the first block's auxiliary network.
        shrink: tau in [0, 1]; 0 keeps the depth.

    Examples:
        >>> from edgebll.learning import AugLocal
        >>> AugLocal(depth=3).options()["shrink"]
        0.5
    """

    depth: int = 2
    shrink: float = 0.5

    name: ClassVar[str] = "auglocal"
    summary: ClassVar[str] = "AugLocal: an auxiliary network built like units sampled from the rest of the network."
    equation: ClassVar[str] = "L = CE(linear(pool(units(a))), y)"
    whole_sequences: ClassVar[bool] = True
    inner_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth < 1 or not 0 <= self.shrink <= 1:
            raise ConfigError(f"auglocal's depth must be at least 1 and shrink in [0, 1], not {self.depth} and {self.shrink}")

    def check_task(self, task: Task) -> None:
        """Not of pixels: the auxiliary networks are built on whole maps."""
        if task.per_pixel:
            raise ConfigError(f"auglocal does not serve {task.name}: its networks pool whole maps; use bll, greedy or dgl")

    def local_objective(self, place: BlockPlace) -> Objective:
        """The auxiliary network's loss.

        Raises:
            ConfigError: the network does not say how its later units are built.
        """
        if not place.later_units or any(unit.rebuild is None for unit in place.later_units):
            raise ConfigError(
                "auglocal needs a network whose units can be built again, such as the shipped ones; "
                "give BlockNetwork its units, or use another rule, e.g. dgl"
            )
        return PredictiveObjective(lambda: self.auxiliary(place), self.label_smoothing, place)

    def depth_at(self, index: int, num_blocks: int) -> int:
        """d_k of block `index`."""
        part = self.shrink * index / (num_blocks - 2) if num_blocks > 2 else 0.0
        return max(1, round(self.depth * (1 - part) + part))

    def sampled(self, place: BlockPlace) -> list[int]:
        """Which units of the network, counted from 0, a block's auxiliary network resembles."""
        depth, last = self.depth_at(place.index, place.num_blocks), place.num_units - 1
        later = len(place.later_units)
        if depth >= later:
            return list(range(last + 1, last + 1 + later))
        return [round(last + later * j / depth) for j in range(1, depth + 1)]

    def auxiliary(self, place: BlockPlace) -> nn.Module:
        """A new auxiliary network for the block at `place`."""
        shape = place.output_shape
        layers: list[nn.Module] = []
        for index in self.sampled(place):
            unit = _rebuilt(place.later_units[index - place.num_units], shape)
            shape = shape_after(unit, shape)
            layers.append(unit)
        if place.positions:
            return nn.Sequential(*layers, nn.Linear(shape[-1], place.num_classes))
        if len(shape) > 1 + MAX_AXES:
            layers.append(nn.Flatten(2, -MAX_AXES))
            shape = folded_shape(shape)
        if len(shape) > 1:
            layers += [pool_to(shape[1:], (1,) * len(shape[1:])), nn.Flatten()]
        if self.depth_at(place.index, place.num_blocks) == 1:
            layers.append(nn.BatchNorm1d(shape[0]))
        return nn.Sequential(*layers, nn.Linear(shape[0], place.num_classes))


def _rebuilt(unit: PlacedUnit, shape: tuple[int, ...]) -> nn.Module:
    """Another such unit for inputs of `shape`. It halves maps at most once: what is left is for the units after it."""
    ratio = max((math.ceil(s / t) for s, t in zip(shape[1:], unit.output_shape[1:], strict=False)), default=1)
    if unit.rebuild is None:
        raise ConfigError("this unit cannot be built again")
    return unit.rebuild(shape, min(2, ratio))
