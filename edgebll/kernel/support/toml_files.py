"""Reading a TOML file into a dataclass, and writing one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.atomic_files import read_capped, write_atomic
from edgebll.kernel.support.plain_dataclasses import from_plain, to_plain

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")
MAX_TOML_BYTES = 1 << 20


def read_toml(cls: type[T], path: Path, advice: str) -> T:
    """Read the file as the dataclass `cls`, strictly: see `edgebll.kernel.support.plain_dataclasses`.

    Args:
        cls: a dataclass.
        path: of the file.
        advice: what to do where the file cannot be read.

    Raises:
        ConfigError: it cannot be read, is too large or not TOML, or has an unknown, missing or wrong entry.
    """
    try:
        text = read_capped(path, MAX_TOML_BYTES).decode("utf-8")
        return from_plain(cls, tomllib.loads(text), path.name)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); {advice}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML ({error})") from error
    except ValueError as error:  # PlainError, or too large a file
        raise ConfigError(str(error)) from error


def write_toml(path: Path, value: Any) -> None:
    """Write a dataclass as `read_toml` reads it, whole or not at all; what is None is left out.

    Args:
        path: of the file.
        value: a dataclass of plain values.

    Raises:
        OSError: the disk refuses.
    """
    write_atomic(path, tomli_w.dumps(_told(to_plain(value))).encode())


def _told(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _told(each) for name, each in value.items() if each is not None}
    return [_told(each) for each in value] if isinstance(value, list) else value
