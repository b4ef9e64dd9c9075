"""`edgebll keys`: the key pairs that let host and boards know each other, and who may use a board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebll.cli.command_group import example, make_group
from edgebll.cli.output import JsonOption, print_json, say
from edgebll.kernel.support.optional_imports import import_extra

app = make_group("keys", "Make, tell, change and revoke keys for links between machines.")
KeyFile = Annotated[Path, typer.Argument(help="A key file.")]
HostsOption = Annotated[
    Path | None, typer.Option("--hosts", help="A board's file of allowed hosts. [default: ~/.local/state/edgebll/hosts.json]")
]


@app.callback()
def root() -> None:
    """Make, tell, change and revoke keys for links between machines."""


@app.command(epilog=example("edgebll keys new host.key"))
def new(path: Annotated[Path, typer.Argument(help="File to write, with mode 0600; never overwritten.")]) -> None:
    """Make a key pair, write it to PATH and print its public key, which the other side needs."""
    from edgebll.kernel.keys import new_key_pair

    typer.echo(new_key_pair(path).public)


@app.command(epilog=example("edgebll keys show host.key"))
def show(path: KeyFile) -> None:
    """Print the public key of a key file."""
    from edgebll.kernel.keys import load_key_pair

    typer.echo(load_key_pair(path).public)


@app.command(epilog=example("edgebll keys pair tcp://orin-1:7100 --key host.key"))
def pair(
    address: Annotated[str, typer.Argument(help="Where `edgebll-board pair` waits, e.g. tcp://orin-1:7100.")],
    key: Annotated[Path, typer.Option("--key", help="The host's key file (`edgebll keys new`).")],
    code: Annotated[str, typer.Option(help="The code the board shows. [default: asked for]")] = "",
    name: Annotated[str, typer.Option(help="What the board is to call this host. [default: the host name]")] = "",
) -> None:
    """Tell a board this host's key and learn the board's; prints the board's entry for the cluster file."""
    from edgebll.kernel.keys import load_key_pair
    from edgebll.kernel.pairing.code_exchange import HOST, Side, check_code, check_name, default_name
    from edgebll.kernel.pairing.link import call_board
    from edgebll.kernel.transport.address import split_tcp

    keys = load_key_pair(key)
    called = check_name(name or default_name())
    import_extra("spake2", "pair", "pairing by a code")  # rather now than after the code was typed
    digits = check_code(code or typer.prompt("code shown on the board", err=True))
    board = call_board(address, Side(HOST, digits, keys.public, called))
    say(f"paired with {board.name}; add this to the cluster file, with {key} as the key of its [host]")
    host = split_tcp(address)[0]
    where = f"tcp://{f'[{host}]' if ':' in host else host}:{board.port}"
    typer.echo(f'[[board]]\nname = "{board.name}"\nendpoint = "{where}"\npublic_key = "{board.public_key}"')


@app.command(epilog=example("edgebll keys rotate host.key"))
def rotate(path: KeyFile) -> None:
    """Replace a key pair by a new one and print its public key; the old one is gone.

    Whoever knows the old public key has to be told the new one: pair again, or use `edgebll keys allow` on boards and
    `public_key` in cluster files.
    """
    from edgebll.kernel.keys import rotate_key_pair

    typer.echo(rotate_key_pair(path).public)
    say(f"{path} has a new key; tell it to all that knew the old one, and restart what uses it")


@app.command(epilog=example("edgebll keys allow PUBLIC_KEY --name laptop"))
def allow(
    public_key: Annotated[str, typer.Argument(help="A host's public key, as `edgebll keys show` prints it there.")],
    name: Annotated[str, typer.Option(help="What to call the host.")],
    hosts: HostsOption = None,
) -> None:
    """On a board: let a host in without pairing, by its public key."""
    from edgebll.kernel.keys.allowed_hosts import allow_host

    allow_host(_hosts_file(hosts), name, public_key)


@app.command(epilog=example("edgebll keys revoke laptop"))
def revoke(
    who: Annotated[str, typer.Argument(help="A host's name or public key.")],
    hosts: HostsOption = None,
) -> None:
    """On a board: let a host in no more; one that is connected is heard no more within about a second."""
    from edgebll.kernel.keys.allowed_hosts import revoke_host

    gone = revoke_host(_hosts_file(hosts), who)
    say(f"{gone.name} with the key {gone.public_key} is let in no more")


@app.command("hosts", epilog=example("edgebll keys hosts"))
def list_hosts(hosts: HostsOption = None, json: JsonOption = False) -> None:
    """On a board: list the hosts that are let in."""
    from edgebll.kernel.keys.allowed_hosts import load_hosts
    from edgebll.kernel.support.plain_dataclasses import to_plain

    found = load_hosts(_hosts_file(hosts))
    if json:
        print_json(to_plain(found))
        return
    for host in found:
        typer.echo(f"{host.public_key}  {host.name}")


def _hosts_file(path: Path | None) -> Path:
    from edgebll.kernel.keys.allowed_hosts import FILE
    from edgebll.kernel.support.user_folders import default_state_dir

    return path or default_state_dir() / FILE
