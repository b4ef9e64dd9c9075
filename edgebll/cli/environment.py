"""Variables EDGEBLL_...: which ones are read, and a word about those that are not, for they may be misspelt."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from typing import Any

from edgebll.cli.command_group import load
from edgebll.cli.command_table import COMMANDS
from edgebll.cli.output import say

PREFIX = "EDGEBLL_"
#: Those that are no option of a command.
SETTINGS = ("EDGEBLL_CUDART", "EDGEBLL_DATA", "EDGEBLL_ENGINES")
#: Those that are options of `edgebll-board`.
BOARD_OPTIONS = (
    *("EDGEBLL_ALLOW", "EDGEBLL_DATA_ANNOUNCE", "EDGEBLL_DATA_LISTEN", "EDGEBLL_DEADLINE", "EDGEBLL_HOSTS"),
    *("EDGEBLL_KEEP_GIB_PER_DAY", "EDGEBLL_KEEP_SNAPSHOTS", "EDGEBLL_KEY", "EDGEBLL_LEAVE_SECONDS", "EDGEBLL_LISTEN"),
    *("EDGEBLL_LOG", "EDGEBLL_LOG_BYTES", "EDGEBLL_NAME", "EDGEBLL_PAIR_LISTEN", "EDGEBLL_SERIAL", "EDGEBLL_STATE"),
)


def tell_of_unknown(program: str) -> None:
    """Say on stderr which variables that begin with EDGEBLL_ nothing reads; where all are known this costs nothing.

    Args:
        program: who says so.
    """
    strange = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in (*SETTINGS, *BOARD_OPTIONS))
    for sentence in sentences(strange):
        say(f"{program}: {sentence}")


def sentences(names: Iterable[str]) -> list[str]:
    """A sentence about every name that no command reads.

    Args:
        names: of variables, all of them neither SETTINGS nor BOARD_OPTIONS.
    """
    found: list[str] = []
    every: set[str] | None = None
    for name in names:
        own = [row.name for row in COMMANDS if name.startswith(f"{PREFIX}{_upper(row.name)}_")]
        if name in option_names(own):
            continue
        every = {*option_names(row.name for row in COMMANDS), *SETTINGS, *BOARD_OPTIONS} if every is None else every
        found.append(_sentence(name, every))
    return found


def _sentence(name: str, known: Iterable[str]) -> str:
    tails = sorted(one.removeprefix(PREFIX) for one in known)  # all begin alike
    near = difflib.get_close_matches(name.removeprefix(PREFIX), tails, n=1, cutoff=0.75)
    advice = f"did you mean {PREFIX}{near[0]}?" if near else "the help of a command has the names of its variables"
    return f"the variable {name} is set, but nothing reads it; {advice}"


def option_names(commands: Iterable[str]) -> set[str]:
    """The variables that stand for options of commands.

    Args:
        commands: names in the table; each is imported.
    """
    rows: Mapping[str, Any] = {row.name: row for row in COMMANDS}
    return {found for name in commands for found in _names(load(rows[name]), f"{PREFIX}{_upper(name)}")}


def _names(command: Any, prefix: str) -> set[str]:
    inner = getattr(command, "commands", {}).items()
    below = {found for name, one in inner for found in _names(one, f"{prefix}_{_upper(name)}")}
    return below | {
        f"{prefix}_{parameter.name.upper()}"
        for parameter in command.params
        if parameter.param_type_name == "option" and getattr(parameter, "allow_from_autoenv", True)
    }


def _upper(name: str) -> str:
    return name.replace("-", "_").upper()
