"""`edgebll-board pair`: shows a code and learns the key of the host at which a person types it."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from edgebll.cli.command_group import example
from edgebll.cli.typed_names import as_text
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.keys import KeyPair, load_key_pair, new_key_pair
from edgebll.kernel.support.console_streams import check_delivered
from edgebll.kernel.support.optional_imports import import_extra
from edgebll.kernel.support.user_folders import default_state_dir
from edgebll.kernel.transport import is_loopback

#: The board's key in its state folder, where `serve` finds it.
KEY_FILE = "board.key"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "pair",
        short_help="Show a code and learn the key of the host that types it.",
        epilog=example("edgebll-board pair", "edgebll-board pair --state /var/lib/edgebll --expires 300"),
    )(pair)


def pair(
    listen: Annotated[
        str, typer.Option(envvar="EDGEBLL_PAIR_LISTEN", help="Address to wait at; port 0 takes a free one.")
    ] = "tcp://0.0.0.0:7100",
    port: Annotated[int, typer.Option(help="The port `edgebll-board serve` listens on, which the host is told.")] = 7101,
    name: Annotated[
        str, typer.Option(envvar="EDGEBLL_NAME", help="What the board calls itself. [default: the host name]")
    ] = "",
    key: Annotated[
        Path | None, typer.Option(envvar="EDGEBLL_KEY", help="Key file, made if need be. [default: board.key in --state]")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(envvar="EDGEBLL_STATE", help="Folder of key and hosts. [default: as `serve` has it]"),
    ] = None,
    hosts: Annotated[
        Path | None, typer.Option(envvar="EDGEBLL_HOSTS", help="File of allowed hosts. [default: hosts.json in --state]")
    ] = None,
    expires: Annotated[float, typer.Option(help="Seconds for which the code is valid.")] = 120.0,
) -> None:
    """Show a code, valid once and for a short time; then `edgebll keys pair tcp://BOARD:7100` on the host asks for it."""
    from edgebll.kernel.keys.allowed_hosts import FILE, allow_host, load_hosts
    from edgebll.kernel.pairing.code_exchange import BOARD, Side, check_name, default_name, new_code
    from edgebll.kernel.pairing.link import PairingServer

    if not 1.0 <= expires <= 3600.0:
        raise ConfigError(f"--expires must be 1 to 3600 seconds, not {expires:g}")
    if not 1 <= port <= 65535:
        raise ConfigError(f"--port must be 1 to 65535, not {port}")
    import_extra("spake2", "pair", "pairing by a code")  # rather now than after a key was made
    folder = state or default_state_dir()
    hosts_file = hosts or folder / FILE
    load_hosts(hosts_file)  # rather now than after the code was typed
    code = new_code()
    side = Side(BOARD, code, _own_key(key or folder / KEY_FILE).public, check_name(as_text(name) or default_name()), port)
    with PairingServer(listen) as server:
        print(f"edgebll-board {side.opening.name} pairing {server.endpoint}", flush=True)
        print(f"code: {code[:3]} {code[3:]}   (valid once, for {expires:.0f} s)", flush=True)
        check_delivered()  # nobody can type a code that nobody sees
        host = server.pair(side, expires)
    allow_host(hosts_file, host.name, host.public_key)
    print(f"paired with {host.name}: {host.public_key}", flush=True)
    print(f"{hosts_file} lets it in; `edgebll-board serve` looks there by itself", file=sys.stderr)


def _own_key(path: Path) -> KeyPair:
    if not path.exists():
        with contextlib.suppress(ConfigError):  # somebody else has made it meanwhile
            return new_key_pair(path)
    return load_key_pair(path)


def serving_key(key: Path | None, folder: Path, listen: str) -> KeyPair | None:
    """The key pair to serve with: the one given or, off loopback, the one that pairing made in the state folder."""
    if key is None and not is_loopback(listen) and (folder / KEY_FILE).exists():
        key = folder / KEY_FILE
    return load_key_pair(key) if key is not None else None
