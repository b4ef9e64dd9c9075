"""What becomes of the samples that are left when an epoch's full batches are done."""

from __future__ import annotations

from collections.abc import Iterable

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.time_chunks import RESET

#: They are left out in this epoch; or they are a batch that is filled up, whose step is told how many samples count.
DROP, MASK = "drop", "mask"
#: The scalar that says how many, in steps that are made for it.
COUNT = "count"


def last_batch_of(scalars: Iterable[Iterable[str]]) -> str:
    """What steps are made for.

    Args:
        scalars: names of each block's.
    """
    return MASK if any(COUNT in names for names in scalars) else DROP


def step_scalars(names: Iterable[str], lr: float, count: int, *, reset: bool = True) -> dict[str, float]:
    """The scalar inputs of one training step.

    Args:
        names: those that the block's step takes.
        lr: learning rate.
        count: samples of the batch that count, from the front.
        reset: whether samples begin with the step, where they are cut in time.
    """
    told = {COUNT: float(count), RESET: float(reset)}
    return {name: told.get(name, lr) for name in names}


def check_last_batch(name: str) -> None:
    """Raise ConfigError unless it is DROP or MASK."""
    if name not in (DROP, MASK):
        raise ConfigError(f"the last batch must be one of {DROP}, {MASK}, not {name!r}")
