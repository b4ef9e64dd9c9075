"""`edgebll-board serve`: options, signals, and the agent between them."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from edgebll.cli.command_group import example
from edgebll.cli.typed_names import as_text
from edgebll.kernel.keys import allowed_hosts, check_public_key
from edgebll.kernel.limits import raise_descriptor_limit
from edgebll.kernel.support import bounds
from edgebll.kernel.support.console_streams import forgive_lost_output
from edgebll.kernel.support.user_folders import default_state_dir
from edgebll.kernel.transport.serial_address import parse_port
from edgebll_devices.agent.settings import Settings
from edgebll_devices.commands import pair as pair_command
from edgebll_devices.service.json_log import json_log

if TYPE_CHECKING:
    from edgebll_devices.agent.agent import Agent

#: After which signal; after SIGTERM, which a service is stopped by, it is 0.
_EXIT_CODES: dict[int | None, int] = {signal.SIGHUP: 129, signal.SIGINT: 130}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=example(
            "edgebll-board serve --listen tcp://127.0.0.1:7101",
            "edgebll-board serve --serial /dev/ttyACM0",
            "edgebll-board serve --listen tcp://0.0.0.0:7101 --key /etc/edgebll/board.key --state /var/lib/edgebll",
        )
    )(serve)


def serve(
    listen: Annotated[
        str, typer.Option(envvar="EDGEBLL_LISTEN", help="Address for hosts; port 0 takes a free one.")
    ] = "tcp://127.0.0.1:7101",
    data_listen: Annotated[
        str, typer.Option(envvar="EDGEBLL_DATA_LISTEN", help="Address for tokens. [default: as --listen, a free port]")
    ] = "",
    data_announce: Annotated[
        str,
        typer.Option(
            envvar="EDGEBLL_DATA_ANNOUNCE",
            help="Address at which others reach the one for tokens, e.g. behind a port mapping. [default: the same]",
        ),
    ] = "",
    name: Annotated[
        str, typer.Option(envvar="EDGEBLL_NAME", help="What the board calls itself. [default: the host name]")
    ] = "",
    key: Annotated[
        Path | None,
        typer.Option(envvar="EDGEBLL_KEY", help="Key file of this board. [default off loopback: board.key in --state]"),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(envvar="EDGEBLL_ALLOW", help="Public key of a host that may connect; repeatable."),
    ] = None,
    hosts: Annotated[
        Path | None, typer.Option(envvar="EDGEBLL_HOSTS", help="File of paired hosts. [default: hosts.json in --state]")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            envvar="EDGEBLL_STATE", help="Folder for cached files. [default: edgebll in $XDG_STATE_HOME or ~/.local/state]"
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Exit after one session.")] = False,
    deadline: Annotated[
        float, typer.Option(envvar="EDGEBLL_DEADLINE", help="Seconds after which a silent host loses the board.")
    ] = 10.0,
    leave_seconds: Annotated[
        float,
        typer.Option(
            envvar="EDGEBLL_LEAVE_SECONDS",
            help="How long to work on after SIGTERM, until the host has moved the blocks elsewhere; 0 for not at all.",
        ),
    ] = 20.0,
    log: Annotated[
        Path | None,
        typer.Option(envvar="EDGEBLL_LOG", help="File for the log as JSON, an object a line, besides the one on stderr."),
    ] = None,
    log_bytes: Annotated[
        int,
        typer.Option(
            envvar="EDGEBLL_LOG_BYTES", help="Size at which --log is begun anew, at least 100000; 3 old files are kept."
        ),
    ] = 5_000_000,
    keep_snapshots: Annotated[
        int,
        typer.Option(
            envvar="EDGEBLL_KEEP_SNAPSHOTS",
            min=0,
            help="States of each block, of a run's newest snapshots, that --state keeps: a recovery need not send them.",
        ),
    ] = 2,
    keep_gib_per_day: Annotated[
        float,
        typer.Option(
            envvar="EDGEBLL_KEEP_GIB_PER_DAY",
            help="How much of that is written to the disk in a day, in GiB; 0 for no limit.",
        ),
    ] = 10.0,
    serial: Annotated[
        list[str] | None,
        typer.Option(
            envvar="EDGEBLL_SERIAL",
            help="Port of a microcontroller for blocks: /dev/ttyACM0, /dev/ttyUSB0@921600, emulator://BOARD; repeatable.",
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more, on stderr.")] = False,
) -> None:
    """Wait for a host, run the blocks it assigns, and wait for the next one."""
    from edgebll_devices.agent.agent import Agent

    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    with bounds.spelled_as_options():
        bounds.HOST_SILENCE.check("deadline", deadline)
        bounds.LEAVING.check("leave_seconds", leave_seconds)
        bounds.GIB_PER_DAY.check("keep_gib_per_day", keep_gib_per_day)
    raise_descriptor_limit()
    folder = state or default_state_dir()
    settings = Settings(
        listen=listen,
        data_listen=data_listen or _free_port_beside(listen),
        data_announce=data_announce,
        name=as_text(name) or socket.gethostname(),
        state_dir=folder,
        keys=pair_command.serving_key(key, folder, listen),
        allowed=tuple(check_public_key(one) for one in allow or ()),
        once=once,
        deadline_s=deadline,
        leave_s=leave_seconds,
        hosts_file=hosts or folder / allowed_hosts.FILE,
        keep_snapshots=keep_snapshots,
        keep_gib_per_day=keep_gib_per_day,
        serial_ports=tuple(str(parse_port(port)) for port in serial or ()),
    )
    with json_log(log, log_bytes) as log_file, Agent(settings) as agent:
        if log_file is not None:
            log_file.where = agent.working_for
        signals = _Signals(agent)
        print(f"edgebll-board {settings.name} serving {agent.endpoint} data {agent.data_endpoint}", flush=True)
        forgive_lost_output()  # the board serves, whether or not somebody reads where
        code = agent.serve()
    raise typer.Exit(_EXIT_CODES.get(signals.caught, code))


def _free_port_beside(listen: str) -> str:
    from edgebll.kernel.transport.address import split_tcp

    return listen[: -len(split_tcp(listen)[1])] + "0"


class _Signals:
    """Turns SIGINT, SIGTERM and SIGHUP into an orderly stop; a second SIGINT or SIGTERM ends the process at once.

    A SIGHUP that is ignored, as under `nohup`, stays so.
    """

    def __init__(self, agent: Agent) -> None:
        self.caught: int | None = None
        self._agent = agent
        self._answer_with(self._catch)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._catch)

    @staticmethod
    def _answer_with(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, handler)

    def _catch(self, number: int, _frame: FrameType | None) -> None:
        self.caught = number
        self._answer_with(signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the system sends one, and the shell another
        self._agent.stop()
