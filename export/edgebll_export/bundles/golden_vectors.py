"""Golden vectors: what the eager step gives for a few consecutive steps, for any runtime to be compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edgebll.kernel.spec.edge_check import EdgeSpec
from edgebll.kernel.spec.last_batch import COUNT, MASK, last_batch_of
from edgebll.kernel.spec.side_inputs import of_a_sample, read_by
from edgebll.kernel.spec.time_chunks import RESET, chunk_of, reset_at
from edgebll.kernel.state.block_state import Array
from edgebll.kernel.tasks import Task
from edgebll.learning import BlockStep, SideStreams
from edgebll.learning.networks.inputs import Inputs, X
from edgebll.learning.step_tensors import scalar_tensors
from edgebll_export.bundles.example_steps import example_step
from edgebll_export.bundles.own_module_step import OwnModuleStep


@dataclass(frozen=True)
class StepRecord:
    """One block's training step: inputs, and what the eager step returned (new state, a, metrics, sent), as numpy arrays."""

    x: Array
    y: Array
    scalars: dict[str, float]
    state: dict[str, Array]
    a: Array
    metrics: Array
    received: dict[str, Array]
    sent: dict[str, Array]

    @property
    def measured(self) -> dict[str, Array]:
        """The metrics, where the step gives some."""
        return {"metrics": self.metrics} if self.metrics.size else {}


def eager_records(
    steps: Sequence[BlockStep | OwnModuleStep],
    states: Mapping[str, Mapping[str, Tensor]],
    edges: Sequence[EdgeSpec],
    num_steps: int,
    lr: float,
    seed: int = 0,
    inputs: Inputs | None = None,
) -> Iterator[list[StepRecord]]:
    """Run consecutive eager steps of all blocks on seeded data; each block trains on the output of the one before.

    Args:
        steps: all blocks in order, by their functional step or by their own modules.
        states: block name -> state to start from.
        edges: all streams between the blocks.
        num_steps: how many.
        lr: learning rate of every step.
        seed: decides inputs and targets.
        inputs: what batches are drawn from, by default N(0, 1).

    Yields:
        For each step one record a block.

    Raises:
        ExportError: a block fails on the inputs, or gives NaN or infinite numbers. ConfigError: nothing says what they are.
    """
    generator = np.random.default_rng(seed)
    current = {step.name: dict(states[step.name]) for step in steps}
    first = steps[0].spec
    specs = [step.spec for step in steps]
    side = {spec.name: Inputs(spec.shape, spec.dtype) for spec in of_a_sample(specs)}
    streams = SideStreams(specs, edges)
    drawn = inputs or Inputs(first.input.shape[1:], first.input.dtype, side=side)
    outputs, masked = steps[-1].spec.output.shape[1:], last_batch_of(step.spec.scalars for step in steps) == MASK
    for index in range(num_steps):
        told = {"lr": lr} | ({COUNT: float(_counted(first.input.shape[0], index))} if masked else {})
        told |= {RESET: reset_at(index, first.chunks)} if first.chunks > 1 else {}
        samples = drawn.draw_all(first.input.shape[0], generator)
        x = samples[X]
        y = _targets(steps[-1].task, x, outputs, generator)
        x = chunk_of(x, index, first.chunks, static=first.static)
        records = []
        for step in steps:
            received = streams.take(step.name) | read_by(step.spec, samples)
            given = (current[step.name], x, y, scalar_tensors(told), received)
            new, a, metrics, sent = example_step(step, *given, drawn.source)
            current[step.name] = new
            streams.put(step.name, sent)
            came, state, gone = (_arrays(tensors) for tensors in (received, new, sent))
            records.append(StepRecord(x.numpy(), y.numpy(), told, state, a.numpy(), metrics.numpy(), came, gone))
            x = a
        yield records


def _counted(batch_size: int, index: int) -> int:
    """How many samples count in a step, where steps are told: all, fewer, and so on."""
    return batch_size - index % 2 * (batch_size // 3)


def _targets(task: Task, x: Tensor, outputs: tuple[int, ...], generator: np.random.Generator) -> Tensor:
    """Targets of a batch: random ones, or the samples where the task's target is the sample."""
    if task.of_input:
        return x.float()
    return torch.from_numpy(task.examples(len(x), outputs, generator))


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, Array]:
    return {name: value.numpy() for name, value in tensors.items()}
