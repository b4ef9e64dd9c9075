"""The interface of a runtime: one loaded block that trains, evaluates and gives its state."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from edgebll.kernel.errors import DataError
from edgebll.kernel.spec.manifest import BlockSpec, TensorSpec
from edgebll.kernel.spec.side_inputs import side_inputs
from edgebll.kernel.state.block_state import Array, State

Tensor = np.ndarray[Any, Any]
#: What a training step gives: a, metrics by name, and what goes to other blocks, by the block's own names for it.
Trained = tuple[Tensor, dict[str, float], dict[str, Tensor]]
R = TypeVar("R", bound="BlockRuntime")


class BlockRuntime(abc.ABC):
    """A block loaded by a runtime, with its current state. Use it from one thread at a time; `close` it or use it in `with`.

    Equal calls in equal order give equal bits, wherever the arrays given lie in memory. `load_state` begins anew: whatever was
    called before it, what comes after it gives the bits of a block just loaded.

    Attributes:
        spec: the block's signature.
    """

    spec: BlockSpec

    @abc.abstractmethod
    def train(
        self, x: Tensor, y: Tensor, scalars: Mapping[str, float], received: Mapping[str, Tensor] | None = None
    ) -> Trained:
        """One training step; the state moves on only if it succeeds.

        Args:
            x: (B, ...), as spec.input.
            y: targets, as spec.labels; of classification one-hot float32 (B, num_classes).
            scalars: at least those of spec.scalars.
            received: what other blocks sent, and side inputs, exactly spec.received; None where that is empty.

        Returns:
            The block's output a, as spec.output; the metrics by name; and the tensors of spec.sent by name. All tensors are
            read-only and never changed later.

        Raises:
            DataError: x, y, a scalar or a received tensor is missing or does not fit. BoardError: the runtime failed.
        """

    @abc.abstractmethod
    def evaluate(self, x: Tensor, inputs: Mapping[str, Tensor] | None = None) -> Tensor:
        """Forward pass in evaluation mode with the current state; x and the result as in `train`, and so are the errors.

        Args:
            x: (B, ...), as spec.input.
            inputs: the side inputs of spec.received by name; None where there are none.
        """

    @abc.abstractmethod
    def feedback(self, y: Tensor) -> Tensor:
        """Output of the feedback head, as spec.beta, for labels y.

        Raises:
            ConfigError: the block has no feedback head. And what `train` raises.
        """

    @abc.abstractmethod
    def state(self) -> dict[str, Array]:
        """Copies of all state tensors."""

    @abc.abstractmethod
    def load_state(self, state: State) -> None:
        """Replace the whole state.

        Raises:
            BundleError: a tensor is missing, not expected or does not fit.
        """

    @property
    def line_bytes(self) -> tuple[int, int]:
        """Bytes of tensors that a line between the runtime and this machine has carried so far, and what they are unpacked."""
        return 0, 0

    @abc.abstractmethod
    def close(self) -> None:
        """Free the runtime; nothing else may be called afterwards."""

    def __enter__(self: R) -> R:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _check(self, name: str, value: Tensor, tensor: TensorSpec) -> None:
        if value.shape != tensor.shape or value.dtype != tensor.dtype:  # unequal in byte order too
            raise DataError(
                f"{self.spec.name} expected {name} as {tensor.dtype}{list(tensor.shape)} and got "
                f"{value.dtype.name}{list(value.shape)}; check the batch size and the data set"
            )

    def _received(self, received: Mapping[str, Tensor] | None) -> Mapping[str, Tensor]:
        """`received` of a training step, checked."""
        return self._checked(received, self.spec.received)

    def _inputs(self, inputs: Mapping[str, Tensor] | None) -> Mapping[str, Tensor]:
        """`inputs` of an evaluation, checked."""
        return self._checked(inputs, side_inputs(self.spec))

    def _checked(self, received: Mapping[str, Tensor] | None, expected: Sequence[TensorSpec]) -> Mapping[str, Tensor]:
        given = received or {}
        if not given and not expected:
            return given
        if len(given) != len(expected) or any(tensor.name not in given for tensor in expected):
            names = (", ".join(sorted(each)) or "nothing" for each in ({t.name for t in expected}, given))
            raise DataError("{} expected to receive {} and got {}; run all blocks of one bundle".format(self.spec.name, *names))
        for tensor in expected:
            self._check(tensor.name, given[tensor.name], tensor)
        return given

    def _scalar(self, name: str, scalars: Mapping[str, float]) -> float:
        try:
            return scalars[name]
        except KeyError:
            raise DataError(f"{self.spec.name} needs the scalar {name!r} in every training step") from None
