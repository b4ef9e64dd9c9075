"""Operators that move, pick or add up elements: the real operator on each part."""

from __future__ import annotations

from typing import Any

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.graph.complex_value import Complex
from edgebll_export.lowering.shape import filled
from edgebll_export.lowering_registry import LOWERINGS, complex_lowering

_PARTWISE = (
    *("clone", "detach", "view", "_unsafe_view", "neg"),
    *(
        "unsqueeze",
        "squeeze",
        "squeeze.dim",
        "squeeze.dims",
        "expand",
        "t",
        "transpose.int",
        "permute",
        "flip",
        "roll",
        "repeat",
    ),
    *("slice.Tensor", "slice_backward", "slice_scatter", "select.int", "select_backward", "select_scatter", "cat", "stack"),
    *("split.Tensor", "split_with_sizes", "constant_pad_nd", "diagonal", "diagonal_backward", "copy", "unfold"),
    *("unfold_backward", "index.Tensor", "index_select", "index_put", "gather", "scatter_add", "index_add"),
    *("sum", "sum.dim_IntList", "mean", "mean.dim", "cumsum", "where.self", "masked_fill.Scalar", "add.Tensor"),
    *("sub.Tensor", "rsub.Scalar", "fill.Scalar"),
)


def parts(g: GraphBuilder, x: Any) -> tuple[Any, Any]:
    """Real and imaginary part of a tensor or number."""
    if isinstance(x, Complex):
        return x.real, x.imag
    if isinstance(x, Value):
        return x, filled(g, x.shape, 0.0, x.dtype)
    return x.real, x.imag


def _part(g: GraphBuilder, argument: Any, which: int, complex_too: bool) -> Any:
    """An argument for the operator on one part; real tensors stay, but among complex ones they have imaginary part 0."""
    if isinstance(argument, Complex) or (complex_too and isinstance(argument, (Value, int, float, complex))):
        return parts(g, argument)[which]
    if isinstance(argument, list):
        mixed = any(isinstance(item, Complex) for item in argument)
        return [_part(g, item, which, mixed) for item in argument]
    return argument


#: Positions of arguments that are values like the first one, real or complex.
_VALUES = {
    "where.self": (1, 2), "masked_fill.Scalar": (0, 2), "index_put": (0, 2), "scatter_add": (0, 3), "index_add": (0, 3),
    "copy": (0, 1),
    "fill.Scalar": (0, 1), "slice_scatter": (0, 1), "select_scatter": (0, 1),
    "add.Tensor": (0, 1), "sub.Tensor": (0, 1), "rsub.Scalar": (0, 1),
}  # fmt: skip


def _partwise(name: str) -> None:
    operator = f"aten.{name}" if "." in name else f"aten.{name}.default"
    values = _VALUES.get(name, (0,))

    @complex_lowering(operator)
    def lower(g: GraphBuilder, *arguments: Any, **options: Any) -> Any:
        options.pop("dtype", None)
        real, imag = (
            LOWERINGS[operator].function(
                g, *(_part(g, argument, which, place in values) for place, argument in enumerate(arguments)), **options
            )
            for which in (0, 1)
        )
        if isinstance(real, (list, tuple)):
            return [Complex(*pair) for pair in zip(real, imag, strict=True)]
        return Complex(real, imag)

    lower.__doc__ = "The real operator on each part."


for _name in _PARTWISE:
    _partwise(_name)
