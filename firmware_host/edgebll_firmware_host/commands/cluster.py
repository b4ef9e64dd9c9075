"""`edgebll cluster`: look at a run over boards from another terminal, and change its boards while it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebll.cli.command_group import example, make_group
from edgebll.cli.output import JsonOption, print_json, print_table, say
from edgebll.cli.typed_names import as_text
from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.runs.run_lock import SUMMARY

if TYPE_CHECKING:
    from edgebll_firmware_host.run_files.control_client import RunView

app = make_group("cluster", "Look at a run over boards while it goes on, and change its boards.")

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The run folder.")]
BoardArgument = Annotated[str, typer.Argument(metavar="BOARD", help="The board's name.")]
#: How long a host may take to answer.
ANSWER_S = 15.0


@app.command(epilog=example("edgebll cluster status runs/boards"))
def status(run: RunArgument, json: JsonOption = False) -> None:
    """Show how far a run is and what each of its boards does."""
    from edgebll.kernel.support.plain_dataclasses import to_plain
    from edgebll_firmware_host.run_files.control_client import GONE, view_run

    seen = view_run(run)
    if json:
        print_json({**to_plain(seen.status), "age_seconds": seen.age_s, "host": seen.host, "host_gone": seen.host == GONE})
        return
    _print(run, seen)


def _print(run: Path, seen: RunView) -> None:
    from edgebll_firmware_host.run_files.control_client import SILENT

    found, rows = seen.status, []
    for board in found.boards:
        heard = "" if board.silent_s is None else f"{board.silent_s:.1f}"
        rows.append((board.name, board.endpoint, board.state, " ".join(board.blocks), heard))
    print_table(("board", "endpoint", "state", "blocks", "heard of, s ago"), rows, right=("heard of, s ago",))
    snapshot = f"snapshot at step {found.snapshot}" if found.snapshot >= 0 else "no snapshot yet"
    failures = f"{found.recoveries} failure{'s' if found.recoveries != 1 else ''} so far"
    typer.echo(f"{run}: {_phase(run, seen)}, step {found.step}, {snapshot}, incarnation {found.incarnation}, {failures}")
    if seen.host == SILENT:
        typer.echo(f"its host (process {found.pid}) has been silent {seen.since}; resume the run if it is gone")


def _phase(run: Path, seen: RunView) -> str:
    """What the run does, as far as that can be known."""
    from edgebll_firmware_host.run_files.control_client import GONE
    from edgebll_firmware_host.run_files.status_files import ENDED

    if seen.host == GONE:
        return f"its host (process {seen.status.pid}) is gone, --resume goes on"
    whole = seen.host != ENDED or (run / SUMMARY).exists()
    return seen.status.phase if whole else "stopped, --resume goes on"


@app.command(epilog=example("edgebll cluster drain runs/boards orin-1"))
def drain(run: RunArgument, board: BoardArgument) -> None:
    """Move a board's blocks to other boards, and use it no more: it can be taken away then."""
    from edgebll_firmware_host.run_files.control_client import request_change
    from edgebll_firmware_host.run_files.status_files import DRAIN, Request

    typer.echo(request_change(run, Request(DRAIN, as_text(board)), ANSWER_S, _tell))


@app.command(epilog=example("edgebll cluster add runs/boards orin-2 --endpoint tcp://orin-2:7101 --public-key KEY"))
def add(
    run: RunArgument,
    board: BoardArgument,
    endpoint: Annotated[
        str | None,
        typer.Option(help="Where it listens, tcp://HOST:PORT. [default: where the run knows it]", show_default=False),
    ] = None,
    public_key: Annotated[
        str | None, typer.Option(help="Its public key; needed off loopback. [default: as the run knows it]", show_default=False)
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads of its training steps. [default: as the run knows it, or 1]", show_default=False)
    ] = None,
    runtime: Annotated[
        str | None, typer.Option(help="Its runtime. [default: as the run knows it, or onnxruntime]", show_default=False)
    ] = None,
    cap_threads: Annotated[
        bool | None,
        typer.Option(help="No more threads than it has processors. [default: as the run knows it]", show_default=False),
    ] = None,
) -> None:
    """Use a board from now on: a new one, or one that was drained or has another address now.

    What is not given of a board that the run knows stays as it was.
    """
    from edgebll_firmware_host.inventory import BoardEntry
    from edgebll_firmware_host.run_files.control_client import request_change
    from edgebll_firmware_host.run_files.status_files import ADD, Request

    board = as_text(board)
    given = {"endpoint": endpoint, "public_key": public_key, "threads": threads, "runtime": runtime, "cap_threads": cap_threads}
    said = {name: value for name, value in given.items() if value is not None}
    entry = BoardEntry(**{"name": board, **_known(run, board, needed=endpoint is None), **said})
    typer.echo(request_change(run, Request(ADD, board, entry), ANSWER_S, _tell))


def _known(run: Path, board: str, *, needed: bool) -> dict[str, Any]:
    """What the run knows of a board; nothing of a new one, unless that is needed.

    Raises:
        ConfigError: it is needed, and there is nothing. BundleError: there is no run.
    """
    from edgebll_firmware_host.run_files.status_files import OF_ENTRY, read_status

    try:
        boards = {entry.name: entry for entry in read_status(run).boards}
    except BundleError:
        if needed:
            raise
        return {}  # whoever is asked says so
    if board in boards:
        return {name: getattr(boards[board], name) for name in OF_ENTRY}
    if needed:
        raise ConfigError(f"{run} knows no board {board!r}, only {', '.join(boards)}; say where it is with --endpoint")
    return {}


def _tell(text: str) -> None:
    say(f"edgebll: {text}")
