"""The tokens of a run without its data: `edgebll.data.token_stream` streams samples that are nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgebll.data import Dataset
from edgebll.data.token_stream import StreamSpec, stream
from edgebll.kernel.spec.lr_schedule import Schedule
from edgebll.kernel.wire import Token

#: Any will do: nobody learns.
_RATE = 0.1


@dataclass(frozen=True)
class PhantomStream:
    """What a run streams.

    Attributes:
        block: the first block.
        steps: training steps of an epoch.
        epochs: passes over the data, at least 0.
        evaluations: batches of the evaluation after each epoch; 0 for none.
        snapshot_every: training steps between snapshots; 0 for none.
    """

    block: str
    steps: int
    epochs: int = 1
    evaluations: int = 0
    snapshot_every: int = 0

    @property
    def total_steps(self) -> int:
        """Training steps of the whole run."""
        return self.steps * self.epochs

    def tokens(self, start: int = 0) -> Iterator[Token]:
        """The tokens from a training step on."""
        spec = StreamSpec(
            run="virtual",
            block=self.block,
            batch_size=1,
            epochs=self.epochs,
            schedule=Schedule(_RATE),
            evaluate=self.evaluations > 0,
            snapshot_every=self.snapshot_every,
        )
        return stream(spec, _nothing(self.steps), _nothing(self.evaluations), start)


def _nothing(samples: int) -> Dataset:
    """So many samples of one zero each."""
    count = max(1, samples)
    return Dataset("virtual", np.zeros((count, 1), np.float32), np.zeros(count, np.int64), num_classes=2)
