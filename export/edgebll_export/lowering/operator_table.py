"""The table of operators: what the registry lowers, and what PyTorch takes apart before."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass

import edgebll_export.lowering  # noqa: F401  (fills the registry)
from edgebll_export.composites import COMPOSITES, Composite
from edgebll_export.lowering_registry import COMPLEX_LOWERINGS, LOWERINGS, Lowering
from edgebll_export.substitutes import SUBSTITUTES
from edgebll_export.targets import TARGETS
from edgebll_export.targets.microcontroller import MICROCONTROLLER, operator_list
from edgebll_export.tracing.decompositions import DECOMPOSED

#: Targets that take whatever has a lowering.
FULL_TARGETS = tuple(name for name in TARGETS if name != MICROCONTROLLER)
_IN_PARTS = "Traced in parts, by PyTorch's decomposition."
_HEAD = f"""# Operators

What `edgebll export` and `edgebll export-step` turn into ONNX, forward and gradient: the operators PyTorch records (ATen), by
family. `edgebll operators --markdown` writes this page from the registry.

Every entry is lowered for the targets {", ".join(FULL_TARGETS)}, in float32 and half
precision, and is compared with float64 autograd on ONNX Runtime; tests hold all of that. An operator that is not
listed is refused at export with its name and its place in the network: write it with others, or
[register a lowering](../how-to/add-an-operator.md). What [microcontrollers](#on-a-microcontroller) have no operators for is
refused likewise.

Random operators have no form that gives the same numbers everywhere. For nn.Dropout and its kin a seeded layer stands in while
a block trains (`edgebll.learning.SeededDropout`, whose generator is part of the block's state); dropout that is no layer of its
own, such as torch.nn.functional.dropout or that inside attention, must become one, or its probability 0.

Values that depend on no input (masks, positions, tables) are computed at export by any operator, listed or not. In-place
operators are traced as their pure counterparts.
"""
_FUNCTIONS = """These functions of PyTorch look at values, count on strides or have no static gradient; while tracing, others
that compute the same take their place. What of their options has no static form is refused with its name."""

_SMALL = """Graphs for the target `microcontroller` hold these operators of ONNX, and no others. Entries above that need
more, such as sorting, sines or positions that are computed, are refused. `devices/firmware/OPERATORS.md` says what each takes
and gives. Written with them are {composed}, and all pooling and norms."""


@dataclass(frozen=True)
class OperatorRow:
    """One way of lowering.

    Attributes:
        family: of operators that belong together.
        operators: ATen (or other) names it serves, without "aten." and ".default".
        description: one line.
    """

    family: str
    operators: tuple[str, ...]
    description: str


def operator_rows() -> list[OperatorRow]:
    """All that is lowered, by family and name."""
    names: dict[tuple[str, object], list[str]] = {}
    described: dict[tuple[str, object], str] = {}
    entries: list[Lowering | Composite] = [*LOWERINGS.values(), *COMPOSITES.values()]
    for entry in entries:
        key = (entry.family, entry.function)
        names.setdefault(key, []).append(_short(entry.operator))
        described[key] = (inspect.getdoc(entry.function) or "").split("\n")[0]
    rows = [OperatorRow(key[0], tuple(sorted(operators)), described[key]) for key, operators in names.items()]
    for family, operators in DECOMPOSED.items():
        own = tuple(name for name in operators if f"aten.{name}" not in LOWERINGS and f"aten.{name}.default" not in LOWERINGS)
        rows += [OperatorRow(family, own, _IN_PARTS)] if own else []
    rows += _complex_rows()
    return sorted(rows, key=lambda row: (row.family, row.description == _IN_PARTS, row.operators))


def _complex_rows() -> list[OperatorRow]:
    """Operators on complex tensors, those that do the same together."""
    named: dict[str, list[str]] = {}
    for entry in COMPLEX_LOWERINGS.values():
        text = (inspect.getdoc(entry.function) or "").split("\n")[0]
        named.setdefault(text, []).append(f"complex {_short(entry.operator)}")
    return [OperatorRow("complex numbers", tuple(sorted(operators)), text) for text, operators in named.items()]


def _short(operator: str) -> str:
    return operator.removeprefix("aten.").removesuffix(".default")


def as_markdown(rows: Sequence[OperatorRow]) -> str:
    """The page docs/reference/operators.md."""
    lines = [_HEAD]
    for family in dict.fromkeys(row.family for row in rows):
        lines += [f"## {family.capitalize()}", "", "| operators | |", "|---|---|"]
        lines += [_line(row) for row in rows if row.family == family]
        lines.append("")
    return "\n".join([*lines, *_functions(), *_on_a_microcontroller()])


def _functions() -> list[str]:
    """The section on functions that are traced as others."""
    names: dict[str, list[str]] = {}
    for function, other in SUBSTITUTES.items():
        text = (inspect.getdoc(other) or "").split("\n")[0].replace("|", "\\|")
        names.setdefault(text, []).append(getattr(function, "__name__", str(function)))
    rows = [f"| {', '.join(f'`{name}`' for name in dict.fromkeys(functions))} | {text} |" for text, functions in names.items()]
    return ["## Functions", "", _FUNCTIONS, "", "| functions | |", "|---|---|", *rows, ""]


def _on_a_microcontroller() -> list[str]:
    """The section on the target's own list."""
    known = operator_list()
    rows = [f"| {kernel} | {_code(names)} |" for kernel, names in known.kernels.items()]
    text = _SMALL.format(composed=_code(sorted(known.composed)))
    return ["## On a microcontroller", "", text, "", "| kernel | operators |", "|---|---|", *rows, ""]


def _code(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _line(row: OperatorRow) -> str:
    names = _code(row.operators)
    description = row.description.replace("|", "\\|").replace("[", "\\[")  # a bracket would begin a link
    return f"| {names} | {description} |"
