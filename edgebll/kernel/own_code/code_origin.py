"""Where a thing of a user's own comes from, as runs and bundles remember it, and whether that is still there."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.own_code.importing import FILE_MODULES, absolute
from edgebll.kernel.own_code.own_files import is_own, own_files
from edgebll.kernel.support.atomic_files import sha256_file

#: Name in a module of the SHA-256 its file had when it was first asked for.
_SEEN = "__edgebll_sha256__"


@dataclass(frozen=True)
class CodeOrigin:
    """Where code was found.

    Attributes:
        reference: "FILE.py:NAME" with the file's absolute path, "MODULE:NAME", or the name of an entry point.
        files: absolute path -> SHA-256 (64 hex digits) of the user's files it is made of: the one that is named, and those
            that it imports, wherever in them; none where the code is installed.
        package: name and version of the installed package that it belongs to; empty for a user's own files.
    """

    reference: str
    files: dict[str, str] = field(default_factory=dict)
    package: str = ""

    @property
    def short(self) -> str:
        """The reference without folders, e.g. "mine.py:Mine"."""
        return self.reference.rpartition("/")[2]

    def check(self, what: str, copies: Path | None = None) -> None:
        """Refuse code that is not what it was when it was written down.

        Args:
            what: what needs it, e.g. "the rule mine.py:Mine".
            copies: a folder that may hold the files as they were, see `edgebll.kernel.own_code.code_copies`.

        Raises:
            ConfigError: a file is missing or has changed.
        """
        for name, was in self.files.items():
            file = Path(name)
            if not file.is_file():
                raise ConfigError(f"{what} needs {name}, which is missing; put that file back{_copy_in(copies, file, was)}")
            found = sha256_file(file)
            if found != was:
                raise ConfigError(
                    f"{what} needs {name}, which has changed since: its SHA-256 was {was[:12]}..., now it is {found[:12]}...; "
                    f"put it back as it was{_copy_in(copies, file, was)}"
                )


def origin_in(module: ModuleType, reference: str) -> CodeOrigin:
    """The origin of what was found in a module.

    Args:
        module: it.
        reference: as it is found again.
    """
    if not is_own(module):
        return CodeOrigin(reference, package=_package_of(module))
    return CodeOrigin(reference, {str(file): _content_of(file, one) for file, one in own_files(module).items()})


def origin_of_class(cls: type[Any]) -> CodeOrigin | None:
    """Where a class can be imported from again.

    Args:
        cls: of a thing that was made in any way.

    Returns:
        None for what lives in a function, in an interactive session or in edgebll itself.
    """
    module = sys.modules.get(cls.__module__)
    if module is None or "<locals>" in cls.__qualname__ or cls.__module__.partition(".")[0] in ("edgebll", "edgebll_export"):
        return None
    if not (module.__name__.startswith(FILE_MODULES) or module.__name__ == "__main__"):
        return origin_in(module, f"{module.__name__}:{cls.__qualname__}")
    file = getattr(module, "__file__", None)
    return origin_in(module, f"{absolute(file)}:{cls.__qualname__}") if file else None


def copy_path(copies: Path, file: Path, sha256: str) -> Path:
    """Where the copy of a file is in a folder of copies: two files of one name are told apart by their content."""
    return copies / sha256[:12] / file.name


def _copy_in(copies: Path | None, file: Path, sha256: str) -> str:
    copy = copy_path(copies, file, sha256) if copies is not None else None
    return f" ({copy} is a copy)" if copy is not None and copy.is_file() else ""


def _content_of(file: Path, module: ModuleType | None) -> str:
    """SHA-256 of what a module is made of; a module stays as it was imported when its file changes.

    Raises:
        ConfigError: the file has changed since.
    """
    found = sha256_file(file)
    if module is not None and vars(module).setdefault(_SEEN, found) != found:
        raise ConfigError(f"{file} has changed since this Python imported it; start Python anew to use it as it is now")
    return found


def _package_of(module: ModuleType) -> str:
    name = module.__name__.partition(".")[0]
    with contextlib.suppress(metadata.PackageNotFoundError):
        return f"{name} {metadata.version(name)}"
    return name
