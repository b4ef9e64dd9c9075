"""What products take of scaled integers: the integers, where the sums can take their scales, or the other factor."""

from __future__ import annotations

from collections.abc import Sequence

from edgebll.kernel.microcontroller.expressions import Expression, load
from edgebll.kernel.microcontroller.scaled_views import ScaledView
from edgebll.kernel.microcontroller.translation import Translation
from edgebll.kernel.microcontroller.views import StridedView

Pair = tuple[ScaledView, ScaledView]


def factors(t: Translation, names: Sequence[str], summed: tuple[Sequence[int], Sequence[int]]) -> Pair:
    """Both factors of a product.

    Integers have one scale along the axes that are summed over, which the sum is multiplied by, or scales along the one such
    axis alone: then the other factor is multiplied by them before. Everything else becomes floats.

    Args:
        t: what is known of the graph.
        names: of both.
        summed: the axes of each that are summed over.

    Raises:
        BundleError: nothing made one of them before.
    """
    pair = [_integers(t, name, axes) for name, axes in zip(names, summed, strict=True)]
    first, second = pair
    if first is not None and second is not None and not _are_int8(first, second):
        pair[0 if first.view.size <= second.view.size else 1] = None
    before = [one is not None and not one.same_along(axes) for one, axes in zip(pair, summed, strict=True)]
    if all(before):
        pair[0] = None
    made = [one or ScaledView(t.floats(name)) for one, name in zip(pair, names, strict=True)]
    for here, other in ((0, 1), (1, 0)):
        scale = made[here].scale
        if pair[here] is not None and before[here] and scale is not None:
            along = scale.strides[summed[here][0]]
            made[here] = ScaledView(made[here].view)
            made[other] = _times(t, f"{names[other]} in units of {names[here]}", made[other], scale, along, summed[other][0])
    return made[0], made[1]


def _integers(t: Translation, name: str, axes: Sequence[int]) -> ScaledView | None:
    found = t.scaled.get(name)
    if found is None or found.scale is None:
        return None
    others = [
        stride for axis, stride in enumerate(found.scale.strides) if axis - len(found.scale.strides) * (axes[0] < 0) != axes[0]
    ]
    return found if found.same_along(axes) or (len(axes) == 1 and not any(others)) else None


def _are_int8(first: ScaledView, second: ScaledView) -> bool:
    return first.view.buffer.dtype == second.view.buffer.dtype == "int8"


def _times(t: Translation, name: str, one: ScaledView, scale: StridedView, along: int, axis: int) -> ScaledView:
    """A factor times numbers that lie along one of its axes."""
    shape = one.view.shape
    axis %= len(shape)
    numbers = scale.with_axes(shape, tuple(along if place == axis else 0 for place in range(len(shape))))
    return ScaledView(t.computed(name, shape, Expression("mul", (one.value(), load(numbers)))))
