"""Why a function cannot be traced, in one sentence with the place in the network and in the user's code, and the cure."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Iterator

import torch
from torch import fx

from edgebll.kernel.own_code.error_place import described, user_line
from edgebll_export.tracing.operator_places import place, with_line

#: Part of a message of PyTorch's -> what to do about it.
_KNOWN = {
    "more than 1 value per channel": (
        "batch norm cannot take statistics from one value a channel, which is all that a batch of one sample has here; export "
        "with a larger --batch-size"
    ),
    "use_reentrant=True": (
        "activation checkpointing with use_reentrant=True runs a backward pass of its own, which no step graph can hold; pass "
        "use_reentrant=False"
    ),
}
#: Parts of messages and names of exceptions where code asks for a tensor's value: in a condition, as a number, as an array.
_BY_VALUE = ("data-dependent", "DataDependent", ".numpy() is not supported", "aten._local_scalar_dense", "aten.equal")
#: Parts of those where the shape of a result depends on values.
_BY_SHAPE = ("DynamicOutputShape",)
#: Loggers that print the tracebacks of failures, which become sentences here.
_LOGGERS = ("torch._subclasses.fake_tensor", "torch._subclasses.fake_impls", "torch.fx.experimental.symbolic_shapes")


def untraceable(name: str, error: Exception, layer: str | None) -> str:
    """What to say of an exception while `name` was traced; `layer`: the innermost module that it left."""
    known = known_failure(error)
    if known is not None:
        return f"{name}: {known}"
    where = with_line(layer, user_line(error))
    text = f"{type(error).__name__} {error}"
    if any(part in text for part in _BY_SHAPE):
        return f"{name}: {by_shape(where)}"
    if any(part in text for part in _BY_VALUE):
        return by_value(name, where, "fake_quantize.py" in _files(error))
    place = f" ({where})" if where else ""
    return f"{name} cannot be traced: {described(error)}{place}"


def known_failure(error: Exception) -> str | None:
    """What to say of an exception of PyTorch's whose cure is known; None for any other."""
    return next((sentence for part, sentence in _KNOWN.items() if part in str(error)), None)


def by_value(name: str, where: str, flags: bool = False) -> str:
    """What to say where a condition or a number is read from a tensor; `flags`: by PyTorch's FakeQuantize, from its own."""
    cure = (
        "take torch.ao.quantization.FusedMovingAvgObsFakeQuantize, which does the same without asking"
        if flags
        else "use torch.where, or pass a Python number"
    )
    return f"{name} needs the value of a tensor while it is traced{f' ({where})' if where else ''}; {cure}"


def by_shape(where: str) -> str:
    """What to say where the size of a result depends on values."""
    return (
        f"{where} makes a shape that depends on the data; graphs have fixed ones: use torch.where, or topk for so many elements"
    )


def refused_operator(name: str, node: fx.Node) -> str | None:
    """What to say of operators that trace but look at values; None for others."""
    if node.target is torch.ops.aten._local_scalar_dense.default:
        return by_value(name, place(node))
    if torch.Tag.dynamic_output_shape in getattr(node.target, "tags", ()):
        return f"{name}: the operator {node.target} in {by_shape(place(node))}"
    return None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """While open, PyTorch does not log the failures that it raises as well."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


def _files(error: BaseException) -> set[str]:
    return {entry.filename.rpartition("/")[2] for entry in traceback.extract_tb(error.__traceback__)}
