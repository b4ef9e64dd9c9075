"""Boards the firmware can be built for: boards/*.toml beside its sources, or a file of the user's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.toml_files import read_toml

_ADVICE = "install edgebll again, or give the path of a file of your own"


@dataclass(frozen=True)
class FirmwareBoard:
    """How to build for a board.

    Attributes:
        title: what people call it.
        processor: options of the compiler; none for a process of this machine.
        sources: of the board, beside its file or in the firmware's folder boards.
        emulator: machine of QEMU, or "" where there is none.
        flash_origin: address of its memory for programs.
        flash_kib: size of that.
        ram_origin: address of its memory for data.
        ram_kib: size of that.
        stack_bytes: of the stack.
        defines: macros of its sources.
    """

    title: str
    processor: tuple[str, ...]
    sources: tuple[str, ...]
    emulator: str
    flash_origin: int
    flash_kib: int
    ram_origin: int
    ram_kib: int
    stack_bytes: int = 4096
    defines: dict[str, str] = field(default_factory=dict)

    @property
    def cross(self) -> bool:
        """Whether it is another machine than this one."""
        return bool(self.processor)


@dataclass(frozen=True)
class NamedBoard:
    """A board and where its file lies.

    Attributes:
        name: of the file.
        folder: where it lies.
        board: what it says.
    """

    name: str
    folder: Path
    board: FirmwareBoard


def firmware_folder() -> Path:
    """The folder with the firmware's sources: inside the installed package, or beside it in a checkout."""
    here = Path(__file__).parents[1]
    installed = here / "firmware_source"
    return installed if installed.is_dir() else here.parent / "firmware"


def board_names() -> tuple[str, ...]:
    """Names of the boards that come with edgebll, in order."""
    return tuple(sorted(path.stem for path in (firmware_folder() / "boards").glob("*.toml")))


def find_board(name: str) -> NamedBoard:
    """A board by its name or by the path of its file.

    Args:
        name: one of `board_names`, or a path that ends with .toml.

    Raises:
        ConfigError: there is none, or its file is wrong.
    """
    if name.endswith(".toml"):
        path = Path(name).absolute()
    elif name in board_names():
        path = firmware_folder() / "boards" / f"{name}.toml"
    else:
        known = ", ".join(board_names())
        raise ConfigError(f"the board must be one of {known}, or a TOML file of your own, not {name!r}")
    return NamedBoard(path.stem, path.parent, read_toml(FirmwareBoard, path, _ADVICE))
