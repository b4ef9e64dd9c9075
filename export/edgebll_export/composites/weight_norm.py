"""Weight normalisation: w = v g / |v|, with a norm for every index of one axis."""

from __future__ import annotations

from torch import Tensor

from edgebll_export.composites.registry import composite

_FAMILY = "normalization"


def _sums(x: Tensor, axis: int) -> Tensor:
    """Sums over all axes but one, all of which stay."""
    others = [place for place in range(x.ndim) if place != axis % x.ndim]
    return x.sum(others, keepdim=True)


@composite("aten._weight_norm_interface.default", family=_FAMILY)
def weight_norm(v: Tensor, g: Tensor, axis: int = 0) -> tuple[Tensor, Tensor]:
    """V * (g / |v|) and the norms."""
    norms = _sums(v * v, axis).sqrt()
    return v * (g / norms), norms


@composite("aten._weight_norm_interface_backward.default", family=_FAMILY)
def weight_norm_backward(grad: Tensor, v: Tensor, g: Tensor, norms: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Gradients of v and g: what of grad lies along v scales, the rest turns."""
    along = _sums(grad * v, axis) / norms
    return g / norms * (grad - v * (along / norms)), along
