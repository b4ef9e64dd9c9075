"""Figures and tables of reports in Markdown. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: What stands where there is no figure.
NONE = "-"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] | None = None) -> str:
    """A Markdown table.

    Args:
        header: of the columns.
        rows: their cells; what would end one early is replaced.
        right: columns that are aligned to the right; by default all but the first.
    """
    to_right = range(1, len(header)) if right is None else right
    rule = "|" + "|".join("---:" if i in to_right else "---" for i in range(len(header))) + "|"
    lines = ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in (header, *rows)]
    return "\n".join([lines[0], rule, *lines[1:]])


def figure(value: float | None, spread: float | None, digits: int = 2) -> str:
    """A figure with its standard deviation, as far as they are known."""
    if value is None:
        return NONE
    return f"{value:.{digits}f}" if spread is None else f"{value:.{digits}f} ± {spread:.{digits}f}"


def difference(found: Mapping[str, Any] | None, digits: int = 2) -> str:
    """A paired difference, its interval and what may be said of it."""
    if found is None:
        return NONE
    interval = f"[{found['low']:+.{digits}f}, {found['high']:+.{digits}f}] " if found["low"] is not None else ""
    return f"{found['mean']:+.{digits}f} {interval}{found['verdict']}"


def signed(value: float | None, digits: int = 2) -> str:
    """A difference with its sign."""
    return NONE if value is None else f"{value:+.{digits}f}"


def percent(value: float | None) -> str:
    """A share in whole percent."""
    return NONE if value is None else f"{value:.0f} %"
