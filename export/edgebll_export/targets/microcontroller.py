"""Microcontrollers as a target: few operators, nodes and constants, because an interpreter of a few kilobytes runs the graphs.

microcontroller.toml lists the operators. Lowerings take the form that is short where `Target.compact` says so, and what has no
form of its own is written with the listed operators by `edgebll_export.passes.plain_forms`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper

from edgebll_export.targets.target import Target

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MICROCONTROLLER = "microcontroller"
_CONVOLUTIONS = ("Conv", "ConvTranspose")
_WHOLE = ("int32", "int64")
_REMEDIES = {
    "GatherElements": "pick by a one-hot matrix",
    "Pow": "raise to a constant power, or write it with torch.exp and torch.log",
    "TopK": "use amax or amin, which give the largest or smallest element",
}


@dataclass(frozen=True)
class OperatorList:
    """microcontroller.toml.

    Attributes:
        axes: of a value at most.
        space: axes in space of a convolution at most.
        dtypes: element types.
        operators: name -> element types of its first input; those that a finished graph may hold.
        composed: the same for operators that are written with others before a graph is finished.
        kernels: what computes operators -> their names.
    """

    axes: int
    space: int
    dtypes: frozenset[str]
    operators: Mapping[str, frozenset[str]]
    composed: Mapping[str, frozenset[str]]
    kernels: Mapping[str, tuple[str, ...]]


@cache
def operator_list() -> OperatorList:
    """The list, read once."""
    content = tomllib.loads(Path(__file__).with_name("microcontroller.toml").read_text(encoding="utf-8"))
    operators, composed = (
        {name: frozenset(group["takes"]) for group in content[kind] for name in group["names"]}
        for kind in ("operators", "composed")
    )
    kernels: dict[str, tuple[str, ...]] = {}
    for group in content["operators"]:
        kernels[group["kernel"]] = tuple(sorted((*kernels.get(group["kernel"], ()), *group["names"])))
    return OperatorList(content["axes"], content["space"], frozenset(content["dtypes"]), operators, composed, kernels)


def microcontroller() -> Target:
    """The target."""
    return Target(
        MICROCONTROLLER,
        batch_statistics=False,
        matrix_forms=False,
        fast_masks=False,
        compact=True,
        max_axes=operator_list().axes,
        precisions=("float32", "int8"),
        refusal=_refusal,
    )


def _refusal(operator: str, dtypes: Sequence[str], outputs: int, attributes: Mapping[str, Any]) -> str | None:
    reason = _by_list(operator, dtypes) or _by_types(operator, dtypes, attributes) or _by_space(operator, attributes)
    return reason and f"a microcontroller {reason}"


def _by_list(operator: str, dtypes: Sequence[str]) -> str | None:
    known = operator_list()
    takes = known.operators.get(operator) or known.composed.get(operator)
    if takes is None:
        remedy = _REMEDIES.get(operator, "devices/firmware/OPERATORS.md lists those it has")
        return f"has no operator {operator}; {remedy}"
    unknown = [dtype for dtype in dtypes if dtype not in known.dtypes]
    if unknown:
        return f"does not compute in {unknown[0]}; compute in float32"
    if dtypes and dtypes[0] not in takes:
        return f"takes no {dtypes[0]} in {operator}; convert it with .float() before"
    return None


def _by_types(operator: str, dtypes: Sequence[str], attributes: Mapping[str, Any]) -> str | None:
    """What depends on more than the first input's type."""
    if operator == "Where" and dtypes[1] != "float32":
        return f"chooses between numbers of float32 alone, not of {dtypes[1]}; convert them with .float() before"
    if operator == "Gather" and dtypes[1] not in _WHOLE:
        return "picks by whole numbers that come from outside, not by computed ones"
    if operator == "Cast":
        to = np.dtype(helper.tensor_dtype_to_np_dtype(attributes["to"])).name
        if to != "float32" and not (to in _WHOLE and dtypes[0] in ("float32", *_WHOLE)):
            return f"does not convert {dtypes[0]} to {to}; compute in float32"
    return None


def _by_space(operator: str, attributes: Mapping[str, Any]) -> str | None:
    axes, most = len(attributes.get("kernel_shape", ())), operator_list().space
    if operator in _CONVOLUTIONS and axes > most:
        return f"convolves over {most} axes at most, not over {axes}; make the others channels"
    return None
