"""A network before it is cut: its units, and the ways to distribute them over blocks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.even_partition import partition
from edgebll.kernel.tasks import CLASSIFICATION, Task
from edgebll.learning.networks.activation_memory import activation_bytes
from edgebll.learning.networks.block_network import BlockNetwork, Unit
from edgebll.learning.networks.forward_macs import macs_of

#: Splits that go by a word, besides the numbers of units in each block, e.g. "5,4,4,4".
EVEN, AUTO, STAGES, MEMORY = "even", "auto", "stages", "memory"
#: Those of them that make as many blocks as they are told.
INTO_BLOCKS = (EVEN, AUTO, MEMORY)


@dataclass
class UnitNetwork:
    """A network before it is cut.

    Attributes:
        units: in order.
        classifier: layers that always stay with the last unit; None where the last unit is the classifier.
        name: of the architecture, as `--network` takes it.
        options: of the architecture, every default written out.
        stages: units of each stage, for `STAGES`; empty if the network has none.
        by_units: an even split gives each block as many units as the others, not as many layers.
        task: what the network is for.
        time_steps: T where units give (B, T, ...), see `BlockNetwork`; 0 where there is no time.
    """

    units: list[Unit]
    classifier: Unit | None
    num_classes: int
    input_shape: tuple[int, ...]
    name: str
    options: dict[str, Any] = field(default_factory=dict)
    stages: tuple[int, ...] = ()
    by_units: bool = False
    task: Task = CLASSIFICATION
    time_steps: int = 0

    def for_task(self, task: Task, outputs: tuple[int, ...]) -> UnitNetwork:
        """The network for another task: what its last layer gives in the shape that the task judges.

        Args:
            task: what it is for.
            outputs: of one sample.

        Raises:
            ConfigError: it ends in a unit that gives class scores only.
        """
        if task.by_position or len(outputs) == 1:
            return replace(self, task=task)
        if self.classifier is None:
            raise ConfigError(f"{self.name} gives one row of numbers a sample, not {outputs}; choose another network, e.g. mlp")
        module = nn.Sequential(self.classifier.module, nn.Unflatten(1, outputs))
        return replace(self, task=task, classifier=replace(self.classifier, module=module))

    @property
    def layers(self) -> int:
        """Layers with weights, as networks are named by them."""
        return sum(unit.layers for unit in self.units) + (self.classifier.layers if self.classifier else 0)

    def sizes(self, num_blocks: int | None = None, split: str = EVEN) -> list[int]:
        """Units of each block.

        Args:
            num_blocks: how many blocks; needed for INTO_BLOCKS, and otherwise checked if given.
            split: "even": layers as even as the units allow, the first blocks longer; "auto": multiply-accumulates; "memory":
                so that the block whose training keeps most activations keeps as few as possible (see `activation_bytes`);
                "stages": a block each stage; or the number of units of each block, e.g. "5,4,4,4".

        Raises:
            ConfigError: the network cannot be split like this.
        """
        if split in INTO_BLOCKS:
            return self._even(num_blocks, split)
        sizes = list(self.stages) if split == STAGES else _numbers(split)
        if not sizes:
            raise ConfigError(f"{self.name} has no stages to be split after; give the number of units of each block")
        if sum(sizes) != len(self.units) or min(sizes) < 1:
            raise ConfigError(
                f"{self.name} has {len(self.units)} units, but the split {split} distributes {sum(sizes)}; "
                "give numbers of at least 1 that add up"
            )
        if num_blocks not in (None, len(sizes)):
            raise ConfigError(f"the split {split} makes {len(sizes)} blocks, not {num_blocks}; leave the number of blocks out")
        return sizes

    def _even(self, num_blocks: int | None, split: str) -> list[int]:
        if num_blocks is None or not 1 <= num_blocks <= len(self.units):
            raise ConfigError(f"{self.name} can be cut into 1 to {len(self.units)} blocks, not {num_blocks}")
        weights = {EVEN: self._layers, AUTO: self._macs, MEMORY: self._memory}[split]()
        return [len(part) for part in partition(weights, num_blocks)]

    def _layers(self) -> list[float]:
        """Layers of each unit, or 1 `by_units`; the classifier's are the last unit's."""
        weights: list[float] = [1 if self.by_units else unit.layers for unit in self.units]
        if self.classifier and not self.by_units:
            weights[-1] += self.classifier.layers
        return weights

    def _macs(self) -> list[float]:
        """Multiply-accumulates of each unit; the classifier's are the last unit's."""
        found: list[float] = []
        x = torch.zeros(2, *self.input_shape)
        for unit in self.units:
            macs, x = macs_of(unit.module, x)
            found.append(macs)
        return [*found[:-1], found[-1] + (macs_of(self.classifier.module, x)[0] if self.classifier else 0)]

    def _memory(self) -> list[float]:
        """Bytes of activations that training each unit keeps; the classifier's are the last unit's."""
        modules = [unit.module for unit in self.units] + ([self.classifier.module] if self.classifier else [])
        *weights, last = activation_bytes(modules, self.input_shape)
        return [*weights[:-1], weights[-1] + last] if self.classifier else [*weights, last]

    def cut(self, num_blocks: int | None = None, split: str = EVEN) -> BlockNetwork:
        """The network in blocks; arguments and errors are those of `sizes`."""
        sizes = self.sizes(num_blocks, split)
        ends = [sum(sizes[: index + 1]) for index in range(len(sizes))]
        parts = [self.units[end - size : end] for size, end in zip(sizes, ends, strict=True)]
        modules = [[unit.module for unit in part] for part in parts]
        if self.classifier:
            modules[-1].append(self.classifier.module)
        blocks = [nn.Sequential(*part) for part in modules]
        options = {**self.options, "num_blocks": len(sizes), "split": ",".join(map(str, sizes))}
        classes = self.num_classes if self.task.by_position else None
        named = (self.name, options, parts)
        return BlockNetwork(blocks, classes, self.input_shape, *named, task=self.task, time_steps=self.time_steps)


def _numbers(split: str) -> list[int]:
    try:
        return [int(part) for part in split.split(",")]
    except ValueError as error:
        raise ConfigError(
            f"a split is {EVEN}, {AUTO}, {MEMORY}, {STAGES} or the number of units of each block, e.g. 5,4,4,4, not {split!r}; "
            "only networks of your own are cut after layers by name"
        ) from error
