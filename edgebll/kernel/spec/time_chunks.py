"""Samples that are sequences, cut in time: a training step takes some of the time steps, a chunk, of every sample of its batch.

What a block carries from chunk to chunk, such as membranes and traces, is state of the block. So memory does not grow with the
length of a sample, and an update comes after every chunk. All chunks of a batch come before the next batch; the scalar `reset`
is 1 at the first of them, where what is carried begins anew. Evaluation takes samples whole, from a state of rest of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebll.kernel.errors import BundleError

if TYPE_CHECKING:
    from edgebll.kernel.spec.manifest import BlockSpec, TensorSpec

#: The scalar that is 1 at the first chunk of a sample and 0 at the others, in steps that are made for it.
RESET = "reset"
#: The entry of a manifest's recipe with T, where blocks give (B, T, ...); it is left out where samples know no time.
TIME_STEPS = "time_steps"
#: The role of an output that has no time any more.
_JUDGED = "logits"


def check_chunks(spec: BlockSpec) -> None:
    """Raise BundleError where a block's samples cannot be cut into its chunks."""
    if spec.chunks < 1:
        raise BundleError(f"{spec.name}: a sample takes at least 1 training step, not {spec.chunks}")
    if spec.chunks == 1:
        return
    timed = [] if spec.static else [spec.input]
    timed += [] if spec.output_role == _JUDGED else [spec.output]
    for tensor in timed:
        if len(tensor.shape) < 2 or not tensor.shape[1] or tensor.shape[1] % spec.chunks:
            raise BundleError(
                f"{spec.name}: {tensor.name} of shape {tensor.shape} cannot be cut into {spec.chunks} equal chunks"
            )
    if RESET not in spec.scalars:
        raise BundleError(f"{spec.name} takes samples in {spec.chunks} chunks, but is not told where a sample begins")


def step_input(spec: BlockSpec) -> TensorSpec:
    """The x of a block's training step, where evaluation takes spec.input."""
    return spec.input if spec.static else _cut(spec.input, spec.chunks)


def step_output(spec: BlockSpec) -> TensorSpec:
    """The a of a block's training step, where evaluation gives spec.output."""
    return spec.output if spec.output_role == _JUDGED else _cut(spec.output, spec.chunks)


def reset_at(step: int, chunks: int) -> float:
    """The scalar RESET of a training step.

    Args:
        step: of the run, from 0.
        chunks: training steps that each sample takes.
    """
    return float(step % chunks == 0)


def chunk_of(x: Any, step: int, chunks: int, *, static: bool) -> Any:
    """What a training step takes of its batch.

    Args:
        x: the batch's samples, an array or tensor (B, T, ...).
        step: of the run, from 0.
        chunks: training steps that each sample takes.
        static: whether x has no axis of time; then each step takes all of it.
    """
    if chunks == 1 or static:
        return x
    size, index = x.shape[1] // chunks, step % chunks
    return x[:, index * size : (index + 1) * size]


def repeated(spec: BlockSpec, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Samples as evaluation takes them, (B, T, ...), made of one chunk of each, the x of a training step."""
    return x if spec.chunks == 1 or spec.static else np.concatenate([x] * spec.chunks, axis=1)


def has_time(shape: Sequence[int], time_steps: int) -> bool:
    """Whether a batch of samples of this shape has an axis of time: (B, T, features) or (B, T, channels, height, width).

    Args:
        shape: of the batch.
        time_steps: T of the network's blocks.
    """
    return len(shape) % 2 == 1 and shape[1] == time_steps


def _cut(tensor: TensorSpec, chunks: int) -> TensorSpec:
    if chunks == 1:
        return tensor
    return replace(tensor, shape=(tensor.shape[0], tensor.shape[1] // chunks, *tensor.shape[2:]))
