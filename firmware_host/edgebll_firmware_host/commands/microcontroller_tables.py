"""What `edgebll plan` says of microcontrollers: what boards and blocks take, and what computing again saves and costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgebll.cli.output import print_table
from edgebll.cli.size_columns import size_columns, trade_columns
from edgebll.kernel.microcontroller.block_memory import BlockMemory

_TOLD, _TRADES = "on a microcontroller", "recomputing_trades"


def board_sizes(blocks: Sequence[BlockMemory]) -> dict[str, int]:
    """What blocks take of the microcontroller they share: state and plans of each, and the largest arena.

    Args:
        blocks: that it hosts.
    """
    state, plans = sum(one.state_bytes for one in blocks), sum(one.plan_bytes for one in blocks)
    return {"state_bytes": state, "arena_bytes": max((one.arena_bytes for one in blocks), default=0), "plan_bytes": plans}


def block_rows(planned: Mapping[str, BlockMemory]) -> list[dict[str, Any]]:
    """What each block takes, with every number of activations it could compute again."""
    return [{"block": name, **memory.sizes(), _TRADES: memory.trades()} for name, memory in planned.items()]


def print_boards(placement: Sequence[Mapping[str, Any]]) -> None:
    """What the microcontrollers among the boards of a plan take, beside what they have.

    Args:
        placement: rows of the plan; those of microcontrollers tell an arena.
    """
    rows = []
    for row in placement:
        if "arena_bytes" in row:
            free = "" if row["memory_free_bytes"] is None else _kib(row["memory_free_bytes"])
            rows.append([row["board"], *size_columns(row).values(), _kib(row["memory_bytes"]), free])
    if rows:
        columns = ("microcontroller of", "state, KiB", "arena, KiB", "plans, KiB", "together, KiB", "it has, KiB")
        print_table(columns, rows, right=columns[1:])


def print_blocks(blocks: Sequence[Mapping[str, Any]]) -> None:
    """What each block takes; and, where there is a choice, what each choice of computing again saves and costs.

    Args:
        blocks: of `block_rows`.
    """
    sizes = [size_columns(row) for row in blocks]
    table = [[row["block"], *told.values()] for row, told in zip(blocks, sizes, strict=True)]
    print_table((_TOLD, *sizes[0]), table, right=tuple(sizes[0]))
    if all(len(row[_TRADES]) == 1 for row in blocks):
        return
    choices = [(row, trade) for row in blocks for trade in row[_TRADES]]
    cells = [
        [row["block"], *trade_columns(trade).values(), "planned" if trade["recomputed"] == row["recomputed"] else ""]
        for row, trade in choices
    ]
    columns = ("choices of --recompute", *trade_columns(choices[0][1]), "")
    print_table(columns, cells, right=columns[1:4])


def _kib(count: int) -> str:
    return f"{count / 1024:.1f}"
