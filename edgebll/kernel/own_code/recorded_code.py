"""What may be imported on the word of a run or a bundle: installed packages, and a user's files that it names with content.

Whoever wrote the record need not be the user, and importing runs code. So this is looked at before anything is imported.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.own_code.code_origin import CodeOrigin, is_own_file
from edgebll.kernel.own_code.importing import absolute

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
