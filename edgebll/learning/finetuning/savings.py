"""What fine-tuning saves, said in a sentence: state is what boards keep twice, and what every snapshot carries to the host."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgebll.learning.step import NET, BlockStep

_KIB = 1024


def savings(plain: Sequence[BlockStep], tuned: Sequence[BlockStep]) -> str:
    """How much of the state and of the weights is left.

    Args:
        plain: steps of the network as it is.
        tuned: of the same network as it is fine-tuned, under the same rule and optimiser.
    """
    before, after = (sum(step.spec.state_bytes for step in steps) for steps in (plain, tuned))
    weights, trained = (_weights(steps) for steps in (plain, tuned))
    forward = [step.name for step in tuned if not step.trained]
    told = f"; {', '.join(forward)}: forward pass alone" if forward else ""
    return (
        f"fine-tuning: {trained} of {weights} weights train, and the state, which every snapshot carries, has "
        f"{after / _KIB:.1f} instead of {before / _KIB:.1f} KiB ({after / before:.1%}){told}"
    )


def _weights(steps: Sequence[BlockStep]) -> int:
    """Numbers of the blocks themselves that are trained."""
    sizes = [(step, {tensor.name: tensor.shape for tensor in step.spec.state}) for step in steps]
    return sum(math.prod(shapes[name]) for step, shapes in sizes for name in step.trained if name.startswith(NET))
