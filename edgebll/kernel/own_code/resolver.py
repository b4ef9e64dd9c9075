"""One name, one thing: a built-in name, "MODULE:NAME", "FILE.py:NAME", or an entry point of an installed package."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.own_code.code_origin import CodeOrigin, origin_in
from edgebll.kernel.own_code.error_place import summary
from edgebll.kernel.own_code.importing import absolute, import_file, import_named, named_in
from edgebll.kernel.own_code.recorded_code import check_after_import, check_before_import

#: What can be named -> the group of entry points by which installed packages register theirs.
GROUPS = {
    "network": "edgebll.networks",
    "rule": "edgebll.rules",
    "optimizer": "edgebll.optimizers",
    "task": "edgebll.tasks",
    "data set": "edgebll.data",
}


@dataclass(frozen=True)
class Resolved:
    """What a name stands for.

    Attributes:
        name: as it was written.
        value: a class, a function or a thing itself.
        origin: where it was found; None for what is built in.
        recalled: whether a run or a bundle named it, and not the user.
    """

    name: str
    value: Any
    origin: CodeOrigin | None = None
    recalled: bool = False

    @property
    def package(self) -> str:
        """Name and version of the installed package it belongs to; empty for others."""
        return "" if self.origin is None else self.origin.package


def resolve(kind: str, name: str, built_in: Mapping[str, Any], recorded: CodeOrigin | None = None) -> Resolved:
    """Find what a name stands for; nothing is imported but the code that is asked for.

    Args:
        kind: one of GROUPS.
        name: built in, "MODULE:NAME", "FILE.py:NAME" or of an entry point; what is built in comes first.
        built_in: name -> class or thing.
        recorded: where a run or a bundle says that it found it: the code must be there, and the same. Whoever wrote that need
            not be the user, so `edgebll.kernel.own_code.making.make` calls only what is meant to be called.

    Raises:
        ConfigError: there is no such thing, its code cannot be imported, or is no longer what was recorded.
    """
    if recorded is not None:
        what = f"the {kind} {name}"
        recorded.check(what)
        check_before_import(what, recorded)
        found = _find(kind, recorded.reference)
        if found is None:
            package = recorded.package or "an installed package"
            raise ConfigError(f"the {kind} {name} is one of {package}, which does not offer it here; install that package")
        check_after_import(what, found[1], recorded)
        return Resolved(name, *found, recalled=True)
    if name in built_in:
        return Resolved(name, built_in[name])
    found = _find(kind, name)
    if found is None:
        raise ConfigError(_unknown(kind, name, built_in))
    return Resolved(name, *found)


def name_of(kind: str, thing: Any) -> str:
    """The name by which a thing is found again.

    Args:
        kind: one of GROUPS.
        thing: a name, or a class or function of a file or module.

    Raises:
        ConfigError: it is in no file that could be imported: in a function, in a session, or in the program itself.
    """
    if isinstance(thing, str):
        return thing
    path, module = getattr(thing, "__qualname__", None), sys.modules.get(getattr(thing, "__module__", None) or "")
    found: Any = module if path else None
    for part in (path or "").split("."):
        found = getattr(found, part, None)
    if found is not thing or module is None or module.__name__ == "__main__":
        what = path or f"a {type(thing).__name__}"
        raise ConfigError(
            f"the {kind} {what} cannot be imported again, as what goes on with a run must; put it at the top of a file of its "
            "own, or give its name as FILE.py:NAME"
        )
    own = (module.__file__ or "").endswith(".py") and not module.__package__
    return f"{absolute(str(module.__file__))}:{path}" if own else f"{module.__name__}:{path}"


def reference_of(name: str) -> str:
    """A name as it is recorded: one in a file with the file's path from the root, others as they are."""
    where, colon, path = name.rpartition(":")
    return f"{absolute(Path(where).expanduser())}:{path}" if colon and _is_file(where) else name


def known_names(kind: str, built_in: Mapping[str, Any]) -> list[str]:
    """All names that stand alone: those built in, then those of entry points.

    Args:
        kind: one of GROUPS.
        built_in: name -> class or thing.
    """
    return list(dict.fromkeys([*built_in, *(point.name for point in _points(kind))]))


def _find(kind: str, name: str) -> tuple[Any, CodeOrigin] | None:
    where, colon, path = name.rpartition(":")
    if not colon:
        return _from_package(kind, name)
    if not (where and path):
        raise ConfigError(f"a {kind} of your own is given as FILE.py:NAME or MODULE:NAME, not {name!r}")
    if not _is_file(where):
        module = import_named(where)
        return named_in(module, path, where), origin_in(module, name)
    module = import_file(Path(where).expanduser())
    return named_in(module, path, where), origin_in(module, reference_of(name))


def _is_file(where: str) -> bool:
    return where.endswith(".py") or "/" in where


def _from_package(kind: str, name: str) -> tuple[Any, CodeOrigin] | None:
    point = next((point for point in _points(kind) if point.name == name), None)
    if point is None:
        return None
    package = f"{point.dist.name} {point.dist.version}" if point.dist else point.module
    try:
        return point.load(), CodeOrigin(name, package=package)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"the {kind} {name} of {package} cannot be imported: {summary(error)}") from error


def _points(kind: str) -> list[EntryPoint]:
    return sorted(entry_points(group=GROUPS[kind]), key=lambda point: point.name)


def _unknown(kind: str, name: str, built_in: Mapping[str, Any]) -> str:
    if name.endswith(".py"):
        return f"{name} is a file; say which of its names is the {kind}, e.g. {name}:NAME"
    own = "one of your own goes by FILE.py:NAME or MODULE:NAME"
    return f"unknown {kind} {name!r}; known are {', '.join(known_names(kind, built_in))}; {own}"
