"""Block outputs of more axes than layers have: those too many are folded into one.

Layers and poolings know one to three axes in space, behind the batch and axis 1, which always counts as the channels. Of more,
the first ones become one, so that the last two, height and width in video and images, stay as they are:

    (B, F, N1, ..., Nk, H, W)  ->  (B, F, N1 ... Nk, H, W)

So a video block's (B, C, T, H, W) has three axes, and needs no folding. (B, T, C, H, W) has as many, with frames for channels:
a block that permutes its output to (B, C, T, H, W) at its end says what is meant.
"""

from __future__ import annotations

import math

from torch import Tensor

from edgebll.learning.reshaped import Reshaped

#: Axes in space that layers have at most.
MAX_AXES = 3


def folded_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape (F, ...) of one sample with at most MAX_AXES axes behind the channels."""
    if len(shape) <= 1 + MAX_AXES:
        return shape
    kept = MAX_AXES - 1
    return (shape[0], math.prod(shape[1:-kept]), *shape[-kept:])


def fold(x: Tensor) -> Tensor:
    """A batch (B, F, ...) with at most MAX_AXES axes in space."""
    return x.reshape(x.shape[0], *folded_shape(tuple(x.shape[1:])))


class Folded(Reshaped):
    """An objective of outputs whose axes are folded."""

    def output(self, a: Tensor) -> Tensor:
        """a with at most MAX_AXES axes in space."""
        return fold(a)
