"""Importing what a user names: a module, or a file wherever it lies."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import os
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.own_code.error_place import summary

#: Modules of files are entered under this name and a hash, so that no two are mixed up and none stands for an installed one.
FILE_MODULES = "edgebll_own_code_"


class _FreshLoader(SourceFileLoader):
    """Compiles the source as it is: bytecode on the disk counts as new for a second after the file has changed."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def import_named(name: str) -> ModuleType:
    """Import a module by its dotted name, with the working directory first among the places of modules.

    Args:
        name: dotted, e.g. "mine.nets".

    Raises:
        ConfigError: there is none, or importing it fails; says in which line.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise ConfigError(f"there is no module {error.name!r} in {here} or among the installed packages") from error
        raise ConfigError(f"importing {name} fails: {error}") from error
    except (Exception, SystemExit) as error:
        raise ConfigError(f"importing {name} fails: {summary(error)}") from error


def absolute(path: Path | str) -> Path:
    """A path from the root, without "..", but with links as they are."""
    return Path(os.path.abspath(path))


def import_file(path: Path) -> ModuleType:
    """Import a file, once for each content it has; modules beside it can be imported by it.

    Args:
        path: of a Python file.

    Raises:
        ConfigError: it cannot be read, or importing it fails; says in which line.
    """
    file = absolute(path)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); give the path of a Python file") from error
    name = FILE_MODULES + hashlib.sha256(str(file).encode() + b"\0" + content).hexdigest()[:16]
    if name in sys.modules:
        return sys.modules[name]
    loader = _FreshLoader(name, str(file))
    spec = importlib.util.spec_from_file_location(name, file, loader=loader)
    if spec is None:
        raise ConfigError(f"{path} is no Python file; give one whose name ends in .py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    try:
        loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        reason = str(error) if isinstance(error, ModuleNotFoundError) else summary(error)
        raise ConfigError(f"importing {path} fails: {reason}") from error
    return module


def named_in(module: ModuleType, path: str, where: str) -> Any:
    """An attribute of a module by its dotted path.

    Args:
        module: it.
        path: e.g. "Net" or "Nets.small".
        where: the module as the user wrote it, for messages.

    Raises:
        ConfigError: there is none.
    """
    try:
        return functools.reduce(getattr, path.split("."), module)
    except AttributeError as error:
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        raise ConfigError(f"{where} has no {path!r}; its names are {', '.join(own) or 'none'}") from error
