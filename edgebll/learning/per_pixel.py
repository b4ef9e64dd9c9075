"""Which view of a block's map a local loss has where every pixel has a label: each point of the map is a sample.

A block output (B, F, h, w) becomes B h w samples (F). Its labels are the shares of the classes among the pixels that a point
covers: masks (B, C, H, W), one-hot, averaged to (h, w). Their sum is the share of those pixels that have a label, by which the
point counts. So every rule that knows features and classes trains segmentation, each block at the resolution it has. A block
without space, (B, F), learns the shares of the whole image.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from torch import Tensor
from torch.nn import functional as F

from edgebll.kernel.errors import ConfigError
from edgebll.learning.objective import BlockPlace, Head, Objective, Tensors
from edgebll.learning.reshaped import Reshaped

_POOLS: tuple[Callable[..., Tensor], ...] = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)


class PerPixel(Reshaped):
    """An objective of one point, applied to every point of a map: the loss is the mean over all.

    Args:
        inner: the objective of features (F,) and shares of classes (C,).
        space: sizes of the map, e.g. (h, w); empty where there is none.
    """

    def __init__(self, inner: Objective, space: tuple[int, ...]) -> None:
        super().__init__(inner, math.prod(space))
        self.space = space

    def output(self, a: Tensor) -> Tensor:
        """(B, F, h, w) to (B h w, F)."""
        return _points(a)

    def labels(self, y: Tensor) -> Tensor:
        """(B, C, H, W) to (B h w, C)."""
        if not self.space:
            return y.flatten(2).mean(2)
        shares = y if tuple(y.shape[2:]) == self.space else _POOLS[len(self.space) - 1](y, self.space)
        return _points(shares)

    def scores(self, head: Head, feedback: Tensors, a: Tensor) -> Tensor | None:
        """None: points are fewer than pixels."""
        return None

    def beta(self, feedback: Tensors, y: Tensor) -> Tensor:
        """Targets (B h w, F) for labels y (B, C, H, W)."""
        return self.inner.beta(feedback, self.labels(y))


def per_pixel(objective: Callable[[BlockPlace], Objective], place: BlockPlace) -> PerPixel:
    """A rule's objective of each point of a block's map.

    Args:
        objective: makes that of a place with features and classes.
        place: of the block.

    Raises:
        ConfigError: the map has other axes than the masks, or more points along one.
    """
    space, pixels = place.output_shape[1:], place.outputs[1:]
    if space and (len(space) != len(pixels) or any(own > of for own, of in zip(space, pixels, strict=True))):
        raise ConfigError(
            f"block{place.index} must give a map (F, ...) with as many axes as the masks {pixels}, and no larger, but its "
            f"output has the shape {place.output_shape}"
        )
    shapes = (*place.shapes[:1], *(shape[:1] for shape in place.shapes[1:]))
    task, classes = place.task.at_position(), place.outputs[0]
    inside = replace(
        place, output_shape=place.output_shape[:1], num_classes=classes, shapes=shapes, task=task, outputs=(classes,)
    )
    return PerPixel(objective(inside), space)


def _points(value: Tensor) -> Tensor:
    """(B, F, ...) to (B times points, F)."""
    return value if value.dim() == 2 else value.flatten(2).transpose(1, 2).flatten(0, 1)
