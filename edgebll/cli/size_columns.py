"""Columns of tables that tell what blocks take of memory, in KiB, and what computing again saves and costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Column -> what a row calls it.
_SIZES = {"state, KiB": "state_bytes", "arena, KiB": "arena_bytes", "plans, KiB": "plan_bytes", "RAM, KiB": "ram_bytes"}


def size_columns(row: Mapping[str, Any]) -> dict[str, str]:
    """Those of the sizes that a row tells: column -> cell."""
    return {column: f"{row[key] / 1024:.1f}" for column, key in _SIZES.items() if key in row} | trade_columns(row)


def trade_columns(row: Mapping[str, Any]) -> dict[str, str]:
    """What computing activations again saves and costs, if a row tells it: column -> cell."""
    if "recomputed" not in row:
        return {}
    saved, cost = row["recomputing_saves_bytes"] / 1024, row["recomputing_costs_percent"]
    return {"recomputed": str(row["recomputed"]), "saves, KiB": f"{saved:.1f}", "instructions": f"+{cost:.1f} %"}
