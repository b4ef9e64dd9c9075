"""A block in a program of the user's own, without host or agent: train it, predict with it, keep its state."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

import numpy as np

from edgebll.kernel.bundle import check_state
from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.execution.block_runtime import BlockRuntime
from edgebll.kernel.spec.last_batch import COUNT, MASK, step_scalars
from edgebll.kernel.spec.manifest import BlockSpec
from edgebll.kernel.spec.time_chunks import step_input
from edgebll.kernel.state.block_state import Array, State, load_tensors, save_tensors
from edgebll.kernel.support.bounds import is_whole
from edgebll.kernel.tasks import Task
from edgebll_devices.block_inputs import as_labels, as_numbers, as_side_inputs


class TrainableBlock:
    """A block in a program of one's own; `edgebll_devices.load_block` makes it. One thread at a time may call it.

    Equal calls in equal order give equal bits.

    Args:
        runtime: the loaded block.
        task: what the network is for, which says what labels may be; None for targets as the graphs take them alone.
        num_classes: of the network.

    Attributes:
        spec: names, dtypes and shapes of all it takes and gives.
    """

    def __init__(self, runtime: BlockRuntime, task: Task | None, num_classes: int) -> None:
        self.spec: BlockSpec = runtime.spec
        self._runtime: BlockRuntime | None = runtime
        self._task, self._num_classes = task, num_classes
        self._sent: Mapping[str, Array] = MappingProxyType({})
        self._busy = threading.Lock()

    @property
    def name(self) -> str:
        """Of the block in its bundle."""
        return self.spec.name

    @property
    def batch_size(self) -> int:
        """Samples of every training step."""
        return self.spec.input.shape[0]

    @property
    def sent(self) -> Mapping[str, Array]:
        """What the last training step has for other blocks besides a, by name; empty but for rules with side streams."""
        return self._sent

    def train(
        self,
        x: Any,
        y: Any,
        lr: float,
        *,
        received: Mapping[str, Any] | None = None,
        count: int | None = None,
        reset: bool = True,
    ) -> tuple[Array, dict[str, float]]:
        """One training step; the weights move on only if it succeeds.

        Args:
            x: a batch (B, ...), as `step_input(spec)` says: what the block before gave, or the network's input.
            y: labels as the task has them: class numbers (B,), or one-hot rows or other targets as `spec.labels` says.
            lr: learning rate, above 0 and finite, or 0 to learn nothing.
            received: what other blocks sent, and what the block reads of samples besides x, exactly `spec.received`; None
                where that is empty.
            count: samples that count, from the front, 1 to B, where the bundle was exported for batches that are not full
                (`last_batch="mask"`); fill the others up with samples of the same kind. By default all.
            reset: whether samples begin with this step, where the bundle cuts them in time; else those before go on.

        Returns:
            The block's output a (B, ...) from before the update, for the next block; and the metrics by name, "loss" among
            them. Where the loss is NaN, numbers in the graph overflowed: restore a state from before.

        Raises:
            DataError: x, y or what is received does not fit, or is not finite. ConfigError: the learning rate or the count is
                none, or the block is closed or used by another thread. BoardError: the runtime failed.
        """
        if not (isinstance(lr, (int, float, np.number)) and np.isfinite(lr) and lr >= 0):
            raise ConfigError(f"the learning rate must be a finite number, at least 0, not {lr!r}")
        spec = self.spec
        with self._in_use() as runtime:
            given = as_numbers(self.name, "x", x, step_input(spec))
            labels = self._labels(y)
            scalars = step_scalars(spec.scalars, float(lr), self._counted(count), reset=reset)
            a, metrics, sent = runtime.train(given, labels, scalars, self._received(received or {}))
            self._sent = MappingProxyType(sent)
        return a, metrics

    def predict(self, x: Any, inputs: Mapping[str, Any] | None = None) -> Array:
        """The forward pass in evaluation mode, with the weights as they are now.

        Args:
            x: any number of samples (N, ...) of the block's input; they are computed in batches of `batch_size`.
            inputs: what the block reads of a sample besides x, by name (N, ...), see `edgebll.kernel.spec.side_inputs`.

        Returns:
            (N, ...), class scores where the block is the network's last.

        Raises:
            DataError: x does not fit or is not finite. And what `train` raises.
        """
        with self._in_use() as runtime:
            given = as_numbers(self.name, "x", x, self.spec.input, any_count=True)
            count, size = len(given), self.batch_size
            others = as_side_inputs(self.spec, inputs or {}, count)
            parts = []
            for start in range(0, count, size):
                rows = (np.arange(size) + start) % count
                parts.append(runtime.evaluate(given[rows], {name: value[rows] for name, value in others.items()} or None))
            return np.concatenate(parts)[:count]

    def feedback(self, y: Any) -> Array:
        """What the feedback head makes of labels: the block's targets, as `spec.beta`.

        Args:
            y: labels, as for `train`.

        Raises:
            ConfigError: the block has no feedback head. And what `train` raises.
        """
        with self._in_use() as runtime:
            return runtime.feedback(self._labels(y))

    def state(self) -> dict[str, Array]:
        """A copy of everything that training changes, by name: weights, statistics, what the optimiser remembers."""
        with self._in_use() as runtime:
            return runtime.state()

    def load_state(self, state: State) -> None:
        """Go on from a state.

        Args:
            state: as `state` gave it, all of its tensors.

        Raises:
            BundleError: a tensor is missing, not expected, or of another dtype or shape.
        """
        with self._in_use() as runtime:
            runtime.load_state(state)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a safetensors file: after a loss of power the old one is there, or the new one, never a half.

        Args:
            path: of the file; an earlier one is replaced.

        Raises:
            StorageError: it cannot be written.
        """
        save_tensors(Path(path), self.state())

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Go on from a state that `save` wrote, or that a run over boards left of this block.

        Args:
            path: of the file.

        Raises:
            BundleError: it cannot be read, is damaged or of another block; the state stays as it was.
        """
        try:
            state = load_tensors(Path(path))
            check_state(self.spec, state, str(path))
        except BundleError as error:
            reason = str(error).rpartition("; ")[0] or str(error)
            raise BundleError(f"{reason}; give a file that `save` wrote of {self.name}") from error
        self.load_state(state)

    def close(self) -> None:
        """Free the runtime; nothing else may be called afterwards, but this again.

        Raises:
            ConfigError: another thread is in a call; the end of `with` waits for that.
        """
        with self._alone():
            self._free()

    def __enter__(self) -> TrainableBlock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._busy:
            self._free()

    def _free(self) -> None:
        if self._runtime is not None:
            self._runtime.close()
            self._runtime = None

    def _counted(self, count: int | None) -> int:
        """How many samples of a batch count.

        Raises:
            ConfigError: so many cannot, or the step was not made for less than all.
        """
        size = self.batch_size
        if count is None or not self.spec.scalars:  # nothing in it learns
            return size
        if not is_whole(count) or not 1 <= count <= size:
            raise ConfigError(f"{self.name} expected a whole number of 1 to {size} samples that count, not {count!r}")
        if COUNT not in self.spec.scalars and count != size:
            raise ConfigError(
                f"{self.name} trains on batches of {size} samples that all count, not {count}; export the bundle with "
                f'last_batch="{MASK}" for batches that are not full'
            )
        return int(count)

    def _labels(self, y: Any) -> Array:
        if not self.spec.takes_labels:  # nothing in it learns
            return np.zeros(self.spec.labels.shape, np.dtype(self.spec.labels.dtype))
        return as_labels(self.name, y, self.spec.labels, self._task, self._num_classes)

    def _received(self, received: Mapping[str, Any]) -> dict[str, Array]:
        """What was received; names that are missing or too many the runtime refuses."""
        known = {tensor.name: tensor for tensor in self.spec.received}
        return {
            name: as_numbers(self.name, name, value, known[name]) if name in known else value
            for name, value in received.items()
        }

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[BlockRuntime]:
        with self._alone():
            if self._runtime is None:
                raise ConfigError(f"{self.name} is closed; load it again")
            yield self._runtime

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._busy.acquire(blocking=False):
            raise ConfigError(f"{self.name} is used by another thread; let one at a time call it")
        try:
            yield
        finally:
            self._busy.release()
