"""`edgebll cluster`: look at a run over boards from another terminal, and change its boards while it goes on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebll.cli.output import JsonOption, print_json, print_table
from edgebll.errors import ConfigError
from edgebll.run_guard import SUMMARY

if TYPE_CHECKING:
    from edgebll_firmware_host.desk import Status

app = typer.Typer(help="Look at a run over boards while it goes on, and change its boards.", no_args_is_help=True)

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The run folder.")]
BoardArgument = Annotated[str, typer.Argument(metavar="BOARD", help="The board's name.")]
_ANSWER_S = 15.0


@app.command()
def status(run: RunArgument, json: JsonOption = False) -> None:
    """Show how far a run is and what each of its boards does."""
    from edgebll.plain import to_plain
    from edgebll_firmware_host.desk import ENDED, STALE_S, read_status

    found = read_status(run)
    age_s = max(0.0, time.time() - found.written_s)
    gone = found.phase != ENDED and age_s > STALE_S
    if json:
        print_json({**to_plain(found), "age_seconds": age_s, "host_gone": gone})
        return
    _print(run, found, gone=gone, age_s=age_s)


def _print(run: Path, found: Status, *, gone: bool, age_s: float) -> None:
    from edgebll_firmware_host.desk import ENDED

    rows = []
    for board in found.boards:
        heard = "" if board.silent_s is None else f"{board.silent_s:.1f}"
        rows.append((board.name, board.endpoint, board.state, " ".join(board.blocks), heard))
    print_table(("board", "endpoint", "state", "blocks", "heard of, s ago"), rows, right=("heard of, s ago",))
    snapshot = f"snapshot at step {found.snapshot}" if found.snapshot >= 0 else "no snapshot yet"
    failures = f"{found.recoveries} failure{'s' if found.recoveries != 1 else ''} so far"
    phase = "stopped, --resume goes on" if found.phase == ENDED and not (run / SUMMARY).exists() else found.phase
    typer.echo(f"{run}: {phase}, step {found.step}, {snapshot}, incarnation {found.incarnation}, {failures}")
    if gone:
        typer.echo(f"its host (process {found.pid}) has written nothing for {age_s:.0f} s: resume the run if it is gone")


@app.command()
def drain(run: RunArgument, board: BoardArgument) -> None:
    """Move a board's blocks to other boards, and use it no more: it can be taken away then."""
    from edgebll_firmware_host.desk import DRAIN, Request, ask

    typer.echo(ask(run, Request(DRAIN, board), _ANSWER_S))


@app.command()
def add(
    run: RunArgument,
    board: BoardArgument,
    endpoint: Annotated[
        str | None,
        typer.Option(help="Where it listens, tcp://HOST:PORT. [default: where the run knows it]", show_default=False),
    ] = None,
    public_key: Annotated[str | None, typer.Option(help="Its public key; needed off loopback.")] = None,
    threads: Annotated[int, typer.Option(help="Threads of its training steps.")] = 1,
    runtime: Annotated[str, typer.Option(help="Its runtime.")] = "onnxruntime",
) -> None:
    """Use a board from now on: a new one, or one that was drained or has another address now."""
    from edgebll_firmware_host.desk import ADD, Request, ask
    from edgebll_firmware_host.inventory import BoardEntry

    known = endpoint if endpoint is not None else _known_endpoint(run, board)
    entry = BoardEntry(board, known, public_key, threads=threads, runtime=runtime)
    typer.echo(ask(run, Request(ADD, board, entry), _ANSWER_S))


def _known_endpoint(run: Path, board: str) -> str:
    from edgebll_firmware_host.desk import read_status

    known = {entry.name: entry.endpoint for entry in read_status(run).boards}
    if board not in known:
        raise ConfigError(f"{run} knows no board {board!r}, only {', '.join(known)}; say where it is with --endpoint")
    return known[board]
