"""Compiling the firmware for a board, with the compiler of the board or of this machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from edgebll.kernel.errors import BoardError, ConfigError, MissingExtraError
from edgebll.kernel.spec.emulated_boards import COMPILER_PACKAGES, COMPILERS, CROSS_COMPILERS, CROSS_PACKAGES
from edgebll.kernel.spec.firmware_profiles import EXACT, FAST, SMALL, check_profile
from edgebll.kernel.support.atomic_files import storage_errors
from edgebll.kernel.support.user_folders import xdg_base
from edgebll.kernel.transport.serial_address import DEFAULT_BAUD, MAX_BAUD
from edgebll_devices.microcontroller.firmware_boards import NamedBoard, firmware_folder

ELF, IMAGE = "firmware.elf", "firmware.bin"
_CROSS = "arm-none-eabi-"
#: What takes time says itself that it is compiled for speed.
FLAGS = (
    *("-std=c99", "-Os", "-fno-math-errno", "-ffunction-sections", "-fdata-sections"),
    *("-Wall", "-Wextra", "-Wpedantic", "-Werror"),
)
#: Of each profile.
PROFILE_FLAGS = {
    SMALL: ("-ffp-contract=off", "-DEDGEBLL_SMALL"),
    EXACT: ("-ffp-contract=off",),
    FAST: ("-ffp-contract=fast", "-DEDGEBLL_FAST"),
}
#: Unless it is to run plans that compute with integers.
WITHOUT_INT8 = "-DEDGEBLL_WITHOUT_INT8"
#: To skip inputs that are zero.
SPARSE_FLAGS = ("-DEDGEBLL_SPARSE",)
_ROOMS = ("link", "server", "runtime")
_MAX_KIB, _SAID_CHARS = 1 << 16, 400


@dataclass(frozen=True)
class FirmwareOptions:
    """How to build; None takes what the board's file says.

    Attributes:
        ram_kib: memory for data.
        flash_kib: memory for the program.
        baud: speed of the line in bits a second.
        profile: one of `PROFILES`.
        int8: run plans that compute with integers, too; not with the profile "small".
        sparse: whether inputs that are zero are skipped; the bits are the same.

    Raises:
        ConfigError: out of range, or `int8` with "small".
    """

    ram_kib: int | None = None
    flash_kib: int | None = None
    baud: int = DEFAULT_BAUD
    profile: str = EXACT
    int8: bool = False
    sparse: bool = False

    def __post_init__(self) -> None:
        for name, value in (("--ram", self.ram_kib), ("--flash", self.flash_kib)):
            if value is not None and not 8 <= value <= _MAX_KIB:
                raise ConfigError(f"{name} must be 8 to {_MAX_KIB} KiB, not {value}")
        check_profile(self.profile)
        if self.int8 and self.profile == SMALL:
            raise ConfigError(f"--int8 needs the profile {EXACT} or {FAST}: {SMALL} leaves out what computes in int8")
        if not 300 <= self.baud <= MAX_BAUD:
            raise ConfigError(f"--baud must be 300 to {MAX_BAUD}, not {self.baud}")


@dataclass(frozen=True)
class Firmware:
    """What was built.

    Attributes:
        path: the program with its symbols, for emulators and debuggers; of this machine, the program itself.
        image: the bytes for the flash; None for a program of this machine.
        flash_bytes: what it takes of the memory for programs.
        ram_bytes: what it takes of the memory for data, its stack included.
        pool_bytes: what it leaves of that for blocks; 0 for a program of this machine, which is told when it starts.
    """

    path: Path
    image: Path | None
    flash_bytes: int
    ram_bytes: int
    pool_bytes: int


def code_flags(profile: str, *, int8: bool = False) -> tuple[str, ...]:
    """What the compiler is told whatever the board.

    Args:
        profile: one of `PROFILES`.
        int8: run plans that compute with integers, too. Default: False.
    """
    return (*FLAGS, *PROFILE_FLAGS[profile], *(() if int8 else (WITHOUT_INT8,)))


def sources(board: NamedBoard) -> list[Path]:
    """All sources for a board, in order.

    Args:
        board: which.

    Raises:
        ConfigError: one that the board's file names is not there.
    """
    folder = firmware_folder()
    found = [path for room in _ROOMS for path in sorted((folder / room).glob("*.c"))]
    for name in board.board.sources:
        places = (board.folder / name, folder / "boards" / name)
        here = next((place for place in places if place.is_file()), None)
        if here is None:
            raise ConfigError(
                f"{board.name}.toml names the source {name!r}, which is neither beside it nor edgebll's; put it there"
            )
        found.append(here)
    return found


def build(board: NamedBoard, out: Path, options: FirmwareOptions | None = None) -> Firmware:
    """Compile the firmware.

    Args:
        board: for which.
        out: folder for the results; what was there is replaced once all is compiled.
        options: how.

    Raises:
        MissingExtraError: the compiler is not installed. ConfigError: it does not fit, or a source does not compile.
        StorageError: the folder cannot be written.
    """
    options = options or FirmwareOptions()
    compiler = find_compiler(board)
    with storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=out) as scratch:
            elf = Path(scratch) / ELF
            _compile(compiler, board, options, elf)
            image = _image(elf) if board.board.cross else None
            for made in (elf, *([image] if image is not None else [])):
                os.replace(made, out / made.name)
    return _measured(board, out / ELF, out / IMAGE if board.board.cross else None)


def cached(board: NamedBoard, options: FirmwareOptions | None = None) -> Path:
    """The program of a board from the user's cache, built if these sources were not built so before.

    Args:
        board: for which.
        options: how.

    Raises:
        EdgebllError: as `build`.
    """
    options = options or FirmwareOptions()
    digest = hashlib.sha256(
        repr(
            (asdict(board.board), asdict(options), code_flags(options.profile, int8=options.int8), find_compiler(board))
        ).encode()
    )
    for path in (*sources(board), *sorted(firmware_folder().glob("*/*.h")), firmware_folder() / "boards" / "cortex_m.ld"):
        digest.update(path.name.encode() + path.read_bytes())
    folder = xdg_base("XDG_CACHE_HOME", ".cache") / "edgebll" / "firmware" / f"{board.name}-{digest.hexdigest()[:16]}"
    return folder / ELF if (folder / ELF).is_file() else build(board, folder, options).path


def find_compiler(board: NamedBoard) -> str:
    """Path of the compiler for a board.

    Args:
        board: for which.

    Raises:
        MissingExtraError: it is not installed; names Debian's package.
    """
    names, packages = (CROSS_COMPILERS, CROSS_PACKAGES) if board.board.cross else (COMPILERS, COMPILER_PACKAGES)
    found = next((path for name in names if (path := shutil.which(name)) is not None), None)
    if found is None:
        raise MissingExtraError(f"building for {board.name} needs {names[0]}; install it: sudo apt-get install {packages}")
    return found


def _compile(compiler: str, board: NamedBoard, options: FirmwareOptions, elf: Path) -> None:
    folder, wanted = firmware_folder(), board.board
    defines = {**wanted.defines, "BOARD_BAUD": f"{options.baud}u", "BOARD_NAME": f'"{board.name}"'}
    command = [
        compiler,
        *wanted.processor,
        *code_flags(options.profile, int8=options.int8),
        *(SPARSE_FLAGS if options.sparse else ()),
    ]
    command += [f"-I{folder / room}" for room in (*_ROOMS, "boards")] + [f"-I{board.folder}"]
    command += [f"-D{name}={value}" for name, value in defines.items()]
    command += [*map(str, sources(board)), "-o", str(elf)]
    if wanted.cross:
        sizes = {
            "FLASH_ORIGIN": wanted.flash_origin,
            "FLASH_BYTES": (options.flash_kib or wanted.flash_kib) << 10,
            "RAM_ORIGIN": wanted.ram_origin,
            "RAM_BYTES": (options.ram_kib or wanted.ram_kib) << 10,
            "STACK_BYTES": wanted.stack_bytes,
        }
        command += ["-nostartfiles", "-specs=nano.specs", "-Wl,--gc-sections", f"-Wl,-T,{folder / 'boards' / 'cortex_m.ld'}"]
        command += [f"-Wl,--defsym={name}={value:#x}" for name, value in sizes.items()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line or "overflowed" in line or "less than" in line]
        said = " ".join((lines or done.stderr.splitlines() or ["nothing was said"])[0].split())
        raise ConfigError(f"the firmware for {board.name} does not compile: {said[:_SAID_CHARS]}")


def _image(elf: Path) -> Path:
    image = elf.with_name(IMAGE)
    _tool("objcopy", "-O", "binary", str(elf), str(image))
    return image


def _measured(board: NamedBoard, elf: Path, image: Path | None) -> Firmware:
    if image is None:
        return Firmware(elf, None, 0, 0, 0)
    numbers = [int(word) for word in _tool("size", str(elf)).splitlines()[1].split()[:3]]
    symbols = {line.split()[-1]: int(line.split()[0], 16) for line in _tool("nm", str(elf)).splitlines()}
    pool = symbols["linked_pool_end"] - symbols["linked_pool_start"]
    return Firmware(elf, image, numbers[0] + numbers[1], symbols["linked_pool_start"] - board.board.ram_origin, pool)


def _tool(name: str, *arguments: str) -> str:
    done = subprocess.run([f"{_CROSS}{name}", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BoardError(f"{_CROSS}{name} failed: {' '.join(done.stderr.split())[:_SAID_CHARS]}")
    return done.stdout
