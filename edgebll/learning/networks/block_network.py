"""A network as a sequence of blocks: what every rule trains and export takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.own_code.error_place import described, user_line
from edgebll.kernel.spec.fine_tuning import FineTuning
from edgebll.kernel.support.bounds import NOT_NEGATIVE
from edgebll.kernel.tasks import CLASSIFICATION, Task, check_classes
from edgebll.learning.modules.module_checks import check_made
from edgebll.learning.modules.module_record import untouched
from edgebll.learning.networks.inputs import Inputs, make_inputs
from edgebll.learning.networks.shared_tensors import check_shared
from edgebll.learning.networks.side_reads import reads_of

#: Builds a new unit of some architecture: (shape of one input sample, stride) -> module with maps `stride` times smaller.
Rebuild = Callable[[tuple[int, ...], int], nn.Module]


@dataclass(frozen=True)
class Unit:
    """The smallest piece a network may be cut at.

    Attributes:
        module: it.
        layers: how many layers with weights it counts for.
        rebuild: builds a new one of the same architecture and width for another input, for auxiliary networks that resemble
            what follows a block; None for units that nothing comes before.
    """

    module: nn.Module
    layers: int
    rebuild: Rebuild | None = None


@dataclass(frozen=True)
class PlacedUnit:
    """A unit of a network that is cut: the shape of one sample of its output, and how to build another one."""

    output_shape: tuple[int, ...]
    rebuild: Rebuild | None


class BlockNetwork(nn.Module):
    """Blocks applied one after another; the last one ends in what the task judges, e.g. class scores.

    Args:
        blocks: any torch modules; each takes the output of the one before and returns float32, batch axis first.
        num_classes: number of classes C; the last block must return (B, C), or (B, T, C) with scores for each of T positions.
            None where the last block says it, or there are no classes.
        input_shape: shape of one sample, without the batch axis, e.g. (1, 28, 28).
        name: the architecture's, by which `make_network` builds it again; free for networks of your own.
        options: what `make_network` needs besides the name; free for networks of your own. Empty by default.
        units: for each block, an nn.Sequential then, the units it starts with; only some rules need them.
        input_dtype: what the first block takes: "float32", "int64", "int32", "uint8" or "bool"; by default the dtype of
            example_inputs, else float32.
        example_inputs: a batch of real samples (N, *input_shape); shapes are found, and golden vectors and what `verify` runs
            are drawn, from them. Where N(0, 1) is nothing the network can take, give these or an input_range.
        input_range: smallest and largest input value, both included, e.g. (0, 9) for tokens of ten kinds.
        task: what the network is for, of `make_task` or a class of one's own.
        side_inputs: what a sample has besides, by name, e.g. {"readings": (6,)}: a shape for float32, or `Inputs`. A block
            reads those that arguments of its forward behind the first are called.
        time_steps: T where each block but the last gives (B, T, ...), what comes out at T time steps, as spiking networks do:
            local losses look at its mean over time. 0, by default, where there is no time.

    Attributes:
        num_classes: C; of tasks without classes, the numbers that the last block gives for a sample.
        inputs: shape, dtype, range and examples of its samples.
        reads: of each block, names of the side inputs that it reads, in the order of its arguments.
        shapes: of one sample before the first block and after each block.
        time_steps: T, 0 where there is no time.
        placed_units: for each block its units.
        fine_tuning: which parts of it are trained; see `edgebll.learning.fine_tuned`.
        cut_from: the module that it was cut from, in a tuple, for it is no layer of the network; empty where blocks were given.

    Raises:
        ConfigError: no blocks, fewer than two classes, or the blocks do not fit each other or the task, or share weights.

    Examples:
        >>> import edgebll
        >>> from torch import nn
        >>> blocks = [nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU()), nn.Linear(16, 10)]
        >>> edgebll.BlockNetwork(blocks, num_classes=10, input_shape=(1, 8, 8)).shapes
        [(1, 8, 8), (16,), (10,)]
    """

    cut_from: tuple[nn.Module, ...] = ()

    def __init__(
        self,
        blocks: Sequence[nn.Module],
        num_classes: int | None,
        input_shape: tuple[int, ...],
        name: str = "custom",
        options: Mapping[str, Any] | None = None,
        units: Sequence[Sequence[Unit]] = (),
        *,
        input_dtype: str | torch.dtype | None = None,
        example_inputs: Any = None,
        input_range: tuple[float, float] | None = None,
        task: Task = CLASSIFICATION,
        side_inputs: Mapping[str, tuple[int, ...] | Inputs] | None = None,
        time_steps: int = 0,
    ) -> None:
        super().__init__()
        if not blocks:
            raise ConfigError("a block network needs at least one block")
        if num_classes is not None and task.classes:
            check_classes(num_classes)
        check_made(blocks)
        check_shared(blocks)
        self.blocks = nn.ModuleList(blocks)
        self.task = task
        self.input_shape = tuple(input_shape)
        self.inputs = make_inputs(self.input_shape, input_dtype, input_range, example_inputs, side_inputs)
        self.reads = reads_of(blocks, tuple(self.inputs.side))
        self.description: dict[str, Any] = {"name": name, "options": dict(options or {})}
        self.fine_tuning = FineTuning()
        self.shapes, self.placed_units = _chain_shapes(self, units or [()] * len(blocks))
        self.time_steps = time_steps
        _check_time(self.shapes[1:-1], time_steps)
        task.check_outputs(self.shapes[-1], num_classes, self.input_shape)
        self.num_classes = task.num_classes(self.shapes[-1])

    def inputs_of(self, index: int) -> Inputs:
        """What block `index` takes."""
        if index:
            return self.inputs.of_block(self.shapes[index], self.reads[index])
        return replace(self.inputs, side={name: self.inputs.side[name] for name in self.reads[0]})

    def forward(self, x: Tensor, **inputs: Tensor) -> Tensor:
        """What the task judges of a batch x (B, *input_shape): for classification scores (B, C) or (B, T, C).

        Args:
            x: of samples.
            inputs: the side inputs by name, where there are some.
        """
        for block, names in zip(self.blocks, self.reads, strict=True):
            x = block(x, *(inputs[name] for name in names))
        return x


def _chain_shapes(
    network: BlockNetwork, units: Sequence[Sequence[Unit]]
) -> tuple[list[tuple[int, ...]], list[tuple[PlacedUnit, ...]]]:
    """Shapes before the first and after each block, and units with theirs, found by running a batch of two for evaluation."""
    x, inputs = network.inputs.first(2), network.inputs.first_of_side(2)
    shapes, placed = [network.input_shape], []
    with untouched(network), torch.no_grad():
        network.eval()
        for index, (block, own) in enumerate(zip(network.blocks, units, strict=True)):
            found = []
            for unit in own:
                x = _apply(unit.module, x, index)
                found.append(PlacedUnit(tuple(x.shape[1:]), unit.rebuild))
            # By _modules: a layer that stands twice is one child, but two steps.
            rest = nn.Sequential(*list(block._modules.values())[len(own) :]) if own else block  # type: ignore[arg-type]
            x = _apply(rest, x, index, [inputs[name] for name in network.reads[index]])
            shapes.append(tuple(x.shape[1:]))
            placed.append(tuple(found))
    return shapes, placed


def _check_time(shapes: Sequence[tuple[int, ...]], time_steps: int) -> None:
    NOT_NEGATIVE.check("the number of time steps", time_steps)
    for index, shape in enumerate(shapes):
        if time_steps and (len(shape) < 2 or shape[0] != time_steps):
            raise ConfigError(
                f"block {index} must give features for each of {time_steps} time steps, but its output has the shape {shape}"
            )


def _apply(block: nn.Module, x: Tensor, index: int, others: Sequence[Tensor] = ()) -> Tensor:
    try:
        result = block(x, *others)
    except Exception as error:  # anything can happen in a module of the user's own
        where = user_line(error)
        reason = f"{described(error)}{f' ({where})' if where else ''}"
        raise ConfigError(f"block {index} does not take its input of shape {tuple(x.shape)}: {reason}{_cure(block)}") from error
    if not isinstance(result, Tensor) or result.dtype != torch.float32 or result.shape[:1] != x.shape[:1]:
        got = f"{result.dtype} {tuple(result.shape)}" if isinstance(result, Tensor) else f"a {type(result).__name__}"
        raise ConfigError(f"block {index} must return one float32 tensor with the batch axis first, not {got}")
    return result


def _cure(block: nn.Module) -> str:
    """What else may be wrong where a block fails, to append to a sentence."""
    odd = {str(value.dtype).removeprefix("torch.") for value in block.parameters() if value.is_floating_point()} - {"float32"}
    return f"; its parameters are {', '.join(sorted(odd))}, make it float32 with .float()" if odd else ""
