"""What a preflight found, as sentences and as facts: problems that end a run before it begins, and notes that do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgebll.kernel.errors import LinkError
from edgebll.kernel.transport import is_loopback
from edgebll.kernel.wire import Reached
from edgebll_firmware_host.fleet.preflight import THIS_HOST, Checked
from edgebll_firmware_host.inventory import BoardEntry

#: Clocks that differ by more are told of; nothing but time stamps in logs depends on them.
SKEW_S = 5.0
#: A board with less room than this on its disk cannot keep even its records.
LEAST_DISK_BYTES = 1 << 20
_COMPUTING = ("onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt-rtx", "tensorrt-cu12")


class PreflightError(LinkError):
    """A run cannot work as things are; nothing was loaded. Exit code 7."""


def problems(checked: Checked, entries: Mapping[str, BoardEntry]) -> list[str]:
    """What keeps a run from working, one sentence each: who, why, and what to do.

    Args:
        checked: what boards and host found out.
        entries: of the boards, by name.
    """
    found = [
        _unreached(*pair, checked.reached[pair], entries) for pair in sorted(checked.reached) if checked.reached[pair].problem
    ]
    for name in sorted(checked.silent):
        found.append(f"board {name} answers, but has not said how it is; look at its log, or start it again")
    for name, board in checked.boards.items():
        if board.disk_bytes < LEAST_DISK_BYTES:
            found.append(
                f"board {name} has {board.disk_bytes >> 10} KiB left on the disk of its state folder; free some, or serve with "
                "another --state"
            )
    return found


def refuse(problems: Sequence[str]) -> None:
    """End a run before it begins where there are problems.

    Raises:
        PreflightError: there are; with the first, and how many more.
    """
    if problems:
        more = f" ({len(problems) - 1} more: see `edgebll devices --check`)" if len(problems) > 1 else ""
        raise PreflightError(problems[0] + more)


def _unreached(source: str, target: str, reached: Reached, entries: Mapping[str, BoardEntry]) -> str:
    who = "this host" if source == THIS_HOST else f"board {source}"
    elsewhere = source != THIS_HOST and not is_loopback(entries[source].endpoint)
    local = elsewhere and reached.endpoint and is_loopback(reached.endpoint)
    hint = (
        f"; that is an address of its own machine alone: let board {target} listen where others reach it (--listen, "
        "--data-listen), and enter it with that address"
    )
    return f"{who} cannot reach board {target} at {reached.endpoint or 'any address'}: {reached.problem}{hint if local else ''}"


def notes(checked: Checked, token_bytes: int = 0, deadline_s: float = 0.0) -> list[str]:
    """What is worth knowing though a run works.

    Args:
        checked: what boards and host found out.
        token_bytes: the largest message between boards.
        deadline_s: the host's; a token that takes longer is told of.
    """
    found = []
    for name in sorted(checked.older):
        found.append(f"board {name} has an older edgebll, which cannot try its links; they are used unchecked: update it")
    for name, skew_s in checked.skew_s.items():
        if abs(skew_s) > SKEW_S:
            way = "ahead of" if skew_s > 0 else "behind"
            found.append(
                f"the clock of board {name} is {abs(skew_s):.0f} s {way} this host's; times in its log are off by that"
            )
    for pair, reached in checked.reached.items():
        rate = reached.bytes_per_second
        if rate and 0 < deadline_s < token_bytes / rate:
            found.append(_slow(*pair, token_bytes, rate))
    return [*found, *_unlike(checked)]


def _slow(source: str, target: str, token_bytes: int, rate: float) -> str:
    link = f"from {f'board {source}' if source != THIS_HOST else 'this host'} to board {target}"
    return (
        f"the link {link} is slow: {token_bytes / 2**20:.1f} MiB, as much as may go over it in one piece, take "
        f"{token_bytes / rate:.0f} s at {rate * 8e-6:.1f} Mbit/s; the run goes on at that pace"
    )


def _unlike(checked: Checked) -> list[str]:
    found = []
    for package in _COMPUTING:
        versions = {name: board.versions[package] for name, board in checked.boards.items() if package in board.versions}
        if len({*versions.values()}) > 1:
            told = ", ".join(f"{name}: {version}" for name, version in versions.items())
            found.append(f"boards have different versions of {package} ({told}): blocks that move may get other bits")
    return found


def facts(checked: Checked, entries: Mapping[str, BoardEntry]) -> dict[str, Any]:
    """All that was found, for programs."""
    boards = {
        name: {
            "versions": dict(board.versions),
            "disk_bytes": board.disk_bytes,
            "load": board.load,
            "clock_skew_seconds": checked.skew_s[name],
            "threads": entries[name].threads,
        }
        for name, board in checked.boards.items()
    }
    return {"boards": boards, "links": [_link(*pair, checked.reached[pair]) for pair in sorted(checked.reached)]}


def _link(source: str, target: str, reached: Reached) -> dict[str, Any]:
    row: dict[str, Any] = {"from": source or "host", "to": target, "endpoint": reached.endpoint, "address": reached.address}
    if reached.problem:
        return {**row, "problem": reached.problem}
    return {**row, "round_trip_seconds": reached.round_trip_s, "bytes_per_second": reached.bytes_per_second}
