"""What may be imported on the word of a run or a bundle: installed packages, and a user's files that it names with content.

Whoever wrote the record need not be the user, and importing runs code. So this is looked at before anything is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sized
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.own_code.code_origin import CodeOrigin
from edgebll.kernel.own_code.importing import absolute
from edgebll.kernel.own_code.own_files import is_own_file

#: Files that a bundle and a run have in their folder.
_RECORDS = ("manifest.json", "run.json")


def check_before_import(what: str, recorded: CodeOrigin) -> None:
    """Refuse to import code that a record names without its content; a module of the user's is found where it was.

    Args:
        what: what needs it, e.g. "the rule mine.py:Mine".
        recorded: where a run or a bundle says that it found it; its files are there and the same.

    Raises:
        ConfigError: it names a file, or a module of the user's, whose content it does not say.
    """
    where, colon, _ = recorded.reference.rpartition(":")
    if not colon:  # an installed package offers it by this name
        return
    if where.endswith(".py") or "/" in where:
        file = absolute(Path(where).expanduser())
        if str(file) not in recorded.files or not is_own_file(file) or file.suffix != ".py":
            raise _unsaid(what, file)
        _check_not_sent(what, file)
        return
    root = _recorded_root(where, recorded)
    if root is not None:
        sys.path.insert(0, str(root))  # before a folder that has another module of the name
        return
    for place in _would_run(where):
        if is_own_file(place):
            raise _unsaid(what, place)


def check_after_import(what: str, found: CodeOrigin, recorded: CodeOrigin) -> None:
    """Refuse code that is made of files of the user's whose content the record does not say.

    Args:
        what: what needs it.
        found: where it was found now.
        recorded: where the record says that it was found.

    Raises:
        ConfigError: there is such a file.
    """
    if stray := [file for file in found.files if file not in recorded.files]:
        raise _unsaid(what, Path(stray[0]))


def check_defined(what: str, value: Any, found: CodeOrigin) -> None:
    """Refuse what is not the user's own, for kinds of things that anything may be: whatever can be iterated over is data.

    Args:
        what: what needs it.
        value: what was found.
        found: where, after `check_before_import` and `check_after_import`.

    Raises:
        ConfigError: it is neither defined in a file of the user's that the record names with its content, nor offered by an
            installed package.
    """
    if ":" not in found.reference:
        return
    if not found.files or (callable(value) and not isinstance(value, (Iterable, Sized)) and not is_defined(value, found.files)):
        raise ConfigError(
            f"{what} is not code of a file of your own that was written down with its content; nothing else is called, for a "
            "run or a bundle may name anything: make a function for it in a file of your own, and name that"
        )


def is_defined(value: Any, files: Mapping[str, str]) -> bool:
    """Whether a function or class is defined in one of these files.

    Args:
        value: it.
        files: by absolute path.
    """
    code = getattr(value, "__code__", None)
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    return (code.co_filename if code is not None else getattr(module, "__file__", None)) in files


def _check_not_sent(what: str, file: Path) -> None:
    """Refuse files that lie in a bundle or a run: what came with the record proves nothing of itself."""
    if any((folder / name).is_file() for folder in file.parents for name in _RECORDS):
        raise ConfigError(
            f"{what} is made of {file}, which lies in a bundle or a run and may have come with it, so it is not run "
            "on the word of a file; move it to a folder of your own, and name it yourself"
        )


def _unsaid(what: str, file: Path) -> ConfigError:
    return ConfigError(
        f"{what} is made of {file}, whose content was not written down with it, so it is not run on the word of a file; "
        "name it yourself, as FILE.py:NAME or MODULE:NAME"
    )


def _recorded_root(module: str, recorded: CodeOrigin) -> Path | None:
    """The folder from which a module is imported, if its file is one of those that are recorded."""
    parts = module.split(".")
    for tail in ([*parts[:-1], f"{parts[-1]}.py"], [*parts, "__init__.py"]):
        for name in recorded.files:
            file = Path(name)
            if list(file.parts[-len(tail) :]) == tail and is_own_file(file):
                return file.parents[len(tail) - 1]
    return None


def _would_run(module: str) -> list[Path]:
    """The files that importing a module by its name would run first, without running them."""
    top = module.partition(".")[0]
    if top in sys.modules:
        file = getattr(sys.modules[top], "__file__", None)
        return [Path(file)] if file else []
    spec = PathFinder.find_spec(top, [str(Path.cwd()), *sys.path])
    places = [] if spec is None else [spec.origin, *(f"{place}/x.py" for place in spec.submodule_search_locations or ())]
    return [absolute(place) for place in places if place and place not in ("built-in", "frozen")]
