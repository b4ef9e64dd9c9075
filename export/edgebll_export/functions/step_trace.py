"""Tracing functions of others, and what of them means something else in a graph."""

from __future__ import annotations

import torch
from torch import Tensor

from edgebll.kernel.errors import ExportError
from edgebll_export.functions.step_call import Call, content, copied
from edgebll_export.lowering_registry import LOWERINGS
from edgebll_export.tracing.operator_places import place
from edgebll_export.tracing.trace import Trace, trace
from edgebll_export.tracing.untraceable import by_value


def traced_call(call: Call) -> Trace:
    """Trace a function on its example.

    Raises:
        ExportError: it cannot be traced, or depends on what is not among its arguments: random numbers, trainable tensors.
    """
    try:
        traced = trace(call, {name: copied(value) for name, value in call.tensors.items()}, name=call.name)
    except ExportError as error:
        if "non-functional tensor" in str(error.__cause__):
            raise ExportError(_writes_outside(call.name)) from error
        raise
    _refuse(call.name, traced)
    _refuse_side_effects(call, traced)
    return traced


def _refuse(name: str, traced: Trace) -> None:
    """Raise ExportError for what has been traced but means something else in a graph."""
    for node in traced.module.graph.find_nodes(op="get_attr"):
        value = getattr(traced.module, str(node.target))
        if isinstance(value, Tensor) and value.requires_grad:
            shape = "x".join(map(str, value.shape)) or "scalar"
            raise ExportError(
                f"{name} uses a trainable tensor ({shape}) that is not among its arguments; pass parameters as arguments, "
                "for modules by torch.func.functional_call"
            )
    for node in traced.module.graph.nodes:
        random = torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())
        if random and node.users and str(node.target) not in LOWERINGS:  # attention may drop out, but has a lowering for p = 0
            raise ExportError(
                f"{name} draws random numbers ({node.target}, in {place(node)}); draw them outside and pass them as an argument"
            )
        if node.target is torch.ops.aten._local_scalar_dense.default:
            raise ExportError(by_value(name, place(node)))


def _refuse_side_effects(call: Call, traced: Trace) -> None:
    """Raise ExportError if another run changes one of the constants, such as the running statistics of a module outside."""
    attributes = [getattr(traced.module, str(node.target)) for node in traced.module.graph.find_nodes(op="get_attr")]
    constants = [value for value in attributes if isinstance(value, Tensor)]
    before = [content(value).clone() for value in constants]
    if constants:
        call.eager()
    for value, old in zip(constants, before, strict=True):
        if not torch.equal(content(value), old):
            raise ExportError(_writes_outside(call.name))


def _writes_outside(name: str) -> str:
    return (
        f"{name} changes a tensor that is not among its arguments, e.g. a module's running statistics; pass a copy as an "
        "argument and return its new value"
    )
