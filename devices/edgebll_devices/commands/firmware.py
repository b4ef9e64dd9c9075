"""`edgebll firmware`: build it for a microcontroller, or run it in an emulator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebll.cli.command_group import example, make_group
from edgebll.cli.output import JsonOption, print_json, print_table, say
from edgebll.kernel.errors import BoardError, ConfigError
from edgebll_devices.commands.firmware_embed import embed, library

if TYPE_CHECKING:
    from edgebll_devices.microcontroller.firmware_build import FirmwareOptions

app = make_group("firmware", "Firmware of microcontrollers: build it, run it in an emulator, or learn in your own.")
app.command(epilog=example("edgebll firmware embed bundles/mcu --block block0 --out src"))(embed)
app.command(epilog=example("edgebll firmware library --out lib"))(library)

BoardOption = Annotated[str, typer.Option(help="A board of `edgebll firmware boards`, or a TOML file of your own.")]
RamOption = Annotated[str, typer.Option(help="Memory for data, e.g. 128k. [default: the board's]", show_default=False)]
FlashOption = Annotated[str, typer.Option(help="Memory for programs, e.g. 512k. [default: the board's]", show_default=False)]
ProfileOption = Annotated[
    str,
    typer.Option(help="exact: the bits of --runtime ordered. small: the same bits, less flash, slower. fast: bits of its own."),
]
Int8Option = Annotated[
    bool,
    typer.Option("--int8", help="Also run plans that compute with integers: of `edgebll quantize`, and of training in int8."),
]
SparseOption = Annotated[bool, typer.Option("--sparse", help="Skip inputs that are zero, as spikes mostly are: the same bits.")]
BaudOption = Annotated[int, typer.Option(help="Speed of the serial line, at most 2000000 bits a second.")]


@app.command(epilog=example("edgebll firmware boards"))
def boards(json: JsonOption = False) -> None:
    """List the boards that the firmware can be built for."""
    from edgebll_devices.microcontroller.firmware_boards import board_names, find_board

    rows: list[dict[str, Any]] = []
    for name in board_names():
        board = find_board(name).board
        memory = {"flash_kib": board.flash_kib, "ram_kib": board.ram_kib}
        rows.append({"board": name, "title": board.title, **memory, "emulator": board.emulator or None})
    if json:
        print_json(rows)
        return
    columns = ("board", "what", "flash, KiB", "RAM, KiB", "emulator")
    cells = [(r["board"], r["title"], str(r["flash_kib"] or ""), str(r["ram_kib"]), r["emulator"] or "") for r in rows]
    print_table(columns, cells, right=columns[2:4])


@app.command(epilog=example("edgebll firmware build --board stm32f405 --baud 921600 --out fw"))
def build(
    board: BoardOption,
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    ram: RamOption = "",
    flash: FlashOption = "",
    baud: BaudOption = 115200,
    profile: ProfileOption = "exact",
    int8: Int8Option = False,
    sparse: SparseOption = False,
    json: JsonOption = False,
) -> None:
    """Compile the firmware, which trains blocks of any bundle; exit code 10 where the compiler is not installed."""
    from edgebll_devices.microcontroller import firmware_build
    from edgebll_devices.microcontroller.firmware_boards import find_board

    made = firmware_build.build(find_board(board), out, _options(ram, flash, baud, profile, int8, sparse))
    if json:
        sizes = {"flash_bytes": made.flash_bytes, "ram_bytes": made.ram_bytes, "pool_bytes": made.pool_bytes}
        paths = {"path": str(made.path), "image": str(made.image) if made.image is not None else None}
        print_json({**paths, "profile": profile, "int8": int8, "sparse": sparse, **sizes})
    elif made.image is None:
        typer.echo(f"{made.path}: a program of this machine; edgebll firmware run --board {board} starts it")
    else:
        typer.echo(
            f"{made.image}: {made.flash_bytes} bytes of flash, {made.ram_bytes} of RAM, {made.pool_bytes} left for blocks"
        )


@app.command(epilog=example("edgebll firmware run --board mps2-an386"))
def run(
    board: BoardOption,
    tcp: Annotated[int | None, typer.Option(help="Serve at this port of 127.0.0.1, not at a pseudo terminal.")] = None,
    ram: RamOption = "",
    flash: FlashOption = "",
    profile: ProfileOption = "exact",
    int8: Int8Option = False,
    sparse: SparseOption = False,
) -> None:
    """Run the firmware in QEMU, or as a process of this machine, and print its serial port; Ctrl-C ends it."""
    from edgebll_devices.microcontroller.emulators import Emulator
    from edgebll_devices.microcontroller.firmware_boards import find_board

    if tcp is not None and not 0 < tcp < 65536:
        raise ConfigError(f"--tcp must be a port, 1 to 65535, not {tcp}")
    line = ("pty",) if tcp is None else ("tcp", str(tcp))
    emulator = Emulator(find_board(board), line, _options(ram, flash, 115200, profile, int8, sparse))
    try:
        typer.echo(emulator.address)
        say(f"edgebll: {board} runs as process {emulator.pid}; edgebll-board serve --serial {emulator.address}")
        emulator.wait()
        raise BoardError(f"the emulator of {board} ended by itself")
    finally:
        emulator.close()


def _options(ram: str, flash: str, baud: int, profile: str, int8: bool, sparse: bool) -> FirmwareOptions:
    from edgebll_devices.microcontroller.firmware_build import FirmwareOptions

    return FirmwareOptions(_kib("--ram", ram), _kib("--flash", flash), baud, profile, int8, sparse)


def _kib(option: str, text: str) -> int | None:
    """A size such as 128k or 1m in KiB."""
    if not text:
        return None
    number, unit = text[:-1], text[-1].lower()
    if not number.isdecimal() or unit not in "km":
        raise ConfigError(f"{option} must be a size such as 128k or 1m, not {text!r}")
    return int(number) * (1024 if unit == "m" else 1)
