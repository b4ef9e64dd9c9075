"""`edgebll doctor`: whether this machine can do its job."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edgebll.cli.output import JsonOption, print_json, print_table, say
from edgebll.kernel.errors import ConfigError

_STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}


def doctor(
    role: Annotated[
        str, typer.Option(help="What this machine is for: board, host, train or export. [default: all it has packages for]")
    ] = "",
    data_dir: Annotated[Path | None, typer.Option(help="Look for data sets only in this folder.")] = None,
    folder: Annotated[Path, typer.Option(help="Where runs will be written.")] = Path(),
    key: Annotated[Path | None, typer.Option(help="A board's key file. [default: /etc/edgebll/board.key]")] = None,
    serial: Annotated[
        list[str] | None, typer.Option(help="Ask the microcontroller at this port, e.g. /dev/ttyACM0; repeatable.")
    ] = None,
    root: Annotated[Path, typer.Option(hidden=True, help="Look at the board whose files are below this folder.")] = Path("/"),
    json: JsonOption = False,
) -> None:
    """Check this machine and say what is wrong and what to do; exit code 1 if it cannot do its role."""
    from edgebll.cli.commands.machine_checks import PROBLEM, ROLES, run_checks
    from edgebll_devices.doctor.board_checks import board_checks, is_board
    from edgebll_devices.doctor.board_probe import BoardProbe
    from edgebll_devices.doctor.microcontrollers import microcontroller_checks

    if role and role not in ROLES:
        raise ConfigError(f"--role must be one of {', '.join(ROLES)}, not {role!r}")
    checks = run_checks(role or "board", data_dir, folder)
    board = BoardProbe(root=root, key=key)
    if role == "board" or (not role and is_board(board)):
        checks += board_checks(board)
    checks += microcontroller_checks(board, serial or ())
    problems = [check for check in checks if check.status == PROBLEM]
    here = {check.topic for check in checks if check.status == "ok"}
    able = [name for name, needs in ROLES.items() if not problems and all(need in here for need in needs)]
    if json:
        print_json({"ok": not problems, "roles": able, "checks": [asdict(check) for check in checks]})
    else:
        rows = [(c.topic, c.status, c.found, c.advice) for c in checks]
        print_table(("what", "", "found", "what to do"), rows, styles=_STYLES)
        say(f"edgebll: this machine can be used for: {', '.join(able)}" if able else "edgebll: this machine is not ready")
    if problems:
        say(f"edgebll: {len(problems)} problem{'s' * (len(problems) > 1)}: {', '.join(c.topic for c in problems)}")
        raise typer.Exit(1)
