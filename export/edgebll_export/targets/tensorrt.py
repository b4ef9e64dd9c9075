"""TensorRT as a target: tensorrt.toml says what the parser of each version takes.

Stricter than NVIDIA's matrices in what building real step graphs showed: BatchNormalization has one output and no training
mode, MaxPool one output, and neither pooling a dilation.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import onnx

from edgebll_export.targets.target import Target

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Version = tuple[int, ...]
_UINT8 = onnx.TensorProto.UINT8
_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
VERSIONS = {"tensorrt-8.5": "8.5", "tensorrt-8.6": "8.6", "tensorrt-10": "10", "tensorrt-11": "11"}


@dataclass(frozen=True)
class Support:
    """Since when an operator or element type is known, and the element types an operator's first input may have."""

    since: str
    takes: frozenset[str] = frozenset()

    def known_to(self, version: str) -> bool:
        """Whether this version has it."""
        return _number(version) >= _number(self.since)


@dataclass(frozen=True)
class SupportTable:
    """tensorrt.toml: element types and operators by name."""

    dtypes: Mapping[str, Support]
    operators: Mapping[str, Support]


@cache
def support_table() -> SupportTable:
    """The table, read once."""
    content = tomllib.loads(Path(__file__).with_name("tensorrt.toml").read_text(encoding="utf-8"))
    dtypes = {name: Support(since) for name, since in content["dtypes"].items()}
    groups = content["operators"]
    operators = {name: Support(group["since"], frozenset(group["takes"])) for group in groups for name in group["names"]}
    return SupportTable(dtypes, operators)


def tensorrt(name: str) -> Target:
    """The target of a name in VERSIONS."""
    version = VERSIONS[name]

    def refusal(operator: str, dtypes: Sequence[str], outputs: int, attributes: Mapping[str, Any]) -> str | None:
        reason = (
            _by_bytes(operator, dtypes, attributes)
            or _by_table(version, operator, dtypes)
            or _by_attributes(operator, outputs, attributes)
        )
        return reason and f"TensorRT {version} {reason}"

    has_bfloat16 = support_table().dtypes["bfloat16"].known_to(version)
    return Target(
        name,
        batch_statistics=False,
        matrix_forms=False,
        fast_masks=False,
        precisions=("float32", "mixed", "bfloat16") if has_bfloat16 else ("float32", "mixed"),
        refusal=refusal,
    )


def _by_table(version: str, operator: str, dtypes: Sequence[str]) -> str | None:
    table = support_table()
    support = table.operators.get(operator)
    if support is None:
        return f"has no operator {operator}"
    if not support.known_to(version):
        return f"has no operator {operator}, only version {support.since} and later have it"
    for dtype in dtypes:
        if dtype not in table.dtypes or not table.dtypes[dtype].known_to(version):
            return f"does not compute in {dtype}"
    if dtypes and dtypes[0] not in support.takes:  # the other inputs are of the same type, or are shapes, axes and indices
        return f"takes no {dtypes[0]} in {operator}"
    return None


def _by_bytes(operator: str, dtypes: Sequence[str], attributes: Mapping[str, Any]) -> str | None:
    """uint8 is a type of inputs and outputs, which are cast from and to floats and take part in nothing else."""
    to = attributes.get("to") if operator == "Cast" else None
    if "uint8" in dtypes and to not in (*_FLOATS, _UINT8):
        return f"takes no uint8 in {operator}; convert it with .float() before anything else"
    if to == _UINT8 and dtypes[0] not in ("float32", "float16", "uint8"):
        return f"casts no {dtypes[0]} to uint8; compute in float32"
    return None


def _by_attributes(operator: str, outputs: int, attributes: Mapping[str, Any]) -> str | None:
    if operator == "BatchNormalization" and (outputs > 1 or attributes.get("training_mode")):
        return "has no BatchNormalization in training mode"
    if operator == "MaxPool" and outputs > 1:
        return "has no indices of MaxPool"
    if operator in ("MaxPool", "AveragePool") and any(size != 1 for size in attributes.get("dilations", ())):
        return f"has no dilation of {operator}"
    return None


def _number(version: str) -> Version:
    return tuple(int(part) for part in version.split("."))
