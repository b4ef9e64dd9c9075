"""Reading a TOML file into a dataclass."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypeVar

from edgebll.errors import ConfigError
from edgebll.plain import PlainError, from_plain

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


def read_toml(cls: type[T], path: Path, advice: str) -> T:
    """Read the file as the dataclass `cls`, strictly: see `edgebll.plain`.

    Args:
        advice: what to do where the file cannot be read.

    Raises:
        ConfigError: it cannot be read, is not TOML, or has an unknown, missing or wrong entry.
    """
    try:
        return from_plain(cls, tomllib.loads(path.read_text(encoding="utf-8")), path.name)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); {advice}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML ({error})") from error
    except PlainError as error:
        raise ConfigError(str(error)) from error
