"""The C library as one folder that PlatformIO, Arduino, Zephyr and CMake take as it is."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.atomic_files import storage_errors
from edgebll.kernel.version import __version__
from edgebll_devices.microcontroller.firmware_boards import firmware_folder

NAME, MARK = "edgebll", "library.json"
_ROOMS = ("runtime", "library")
#: Stands for the version in the files of the package.
_NO_VERSION = "0.0.0"


def write_c_package(out: Path) -> Path:
    """Write the folder OUT/edgebll, whole or not at all; one of an earlier release is replaced.

    Args:
        out: the folder for libraries, such as lib of PlatformIO's or libraries of Arduino's; made where it is missing.

    Returns:
        The folder of the library.

    Raises:
        ConfigError: there is a folder of that name that is not this library. StorageError: it cannot be written.
    """
    folder = out / NAME
    if folder.exists() and not (folder / MARK).is_file():
        raise ConfigError(f"{folder} is there and is not edgebll's C library; choose another folder, or move it away")
    with storage_errors(folder):
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".edgebll-", dir=out) as scratch:
            made = Path(scratch) / NAME
            _fill(made, firmware_folder())
            if folder.exists():
                os.replace(folder, Path(scratch) / "before")
            os.replace(made, folder)
    return folder


def _fill(made: Path, sources: Path) -> None:
    shutil.copytree(sources / "package", made)
    for path in (made / MARK, made / "library.properties"):
        path.write_text(path.read_text("utf-8").replace(_NO_VERSION, __version__), "utf-8")
    (made / "src").mkdir()
    for room in _ROOMS:
        for path in sorted((sources / room).iterdir()):
            if path.suffix in (".c", ".h"):
                shutil.copyfile(path, made / "src" / path.name)
