"""Which files of the user's own code is made of, those too that it imports only when it is called."""

from __future__ import annotations

import ast
import itertools
import re
import sys
import sysconfig
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from edgebll.kernel.own_code.importing import absolute

_ABOVE = Path(__file__).parents[3]
#: Folders of edgebll's packages, in a checkout too.
_HOUSE = tuple(
    _ABOVE / room
    for room in ("edgebll", "export/edgebll_export", "devices/edgebll_devices", "firmware_host/edgebll_firmware_host")
)
#: Folders of a Python's own library, this one's or another's.
_PYTHONS = re.compile(r"python\d+(\.\d+)?")


class _Source(NamedTuple):
    """A file, the package it is a module of, and that module where it is imported."""

    file: Path
    package: str
    module: ModuleType | None


def own_files(module: ModuleType) -> dict[Path, ModuleType | None]:
    """Files of the user's own that a module is made of: its own first, then all that these import, wherever in them.

    Args:
        module: of a file of the user's.

    Returns:
        The module of each file; None for one that is not imported yet.
    """
    found: dict[Path, ModuleType | None] = {}
    left, later = [_of(module)], list[_Source]()
    while left or later:  # what is imported first, for the other knows nothing of its names
        one = left.pop(0) if left else later.pop(0)
        if one.file in found:
            continue
        found[one.file] = one.module
        left += [_of(other) for other in _modules_in(one) if is_own(other)]
        later += [source for name in _imported(one) for source in _not_loaded(name)]
    return found


def is_own(module: ModuleType) -> bool:
    """Whether a module is a file of the user's, which neither Python nor an installed package brought, nor edgebll."""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not file.endswith(".py") or not Path(file).is_file():
        return False
    return is_own_file(Path(file))


def is_own_file(file: Path) -> bool:
    """Whether a file is the user's: neither this Python's nor another's, of no installed package, and not edgebll's."""
    path = absolute(file)
    brought = [*_HOUSE, *(Path(sysconfig.get_path(kind)) for kind in ("stdlib", "platstdlib", "purelib", "platlib"))]
    installed = {"site-packages", "dist-packages"} & {*path.parts} or any(
        above in ("lib", "lib64") and _PYTHONS.fullmatch(folder) for above, folder in itertools.pairwise(path.parts)
    )
    return not installed and not any(path.is_relative_to(folder) for folder in brought)


def _of(module: ModuleType) -> _Source:
    return _Source(absolute(str(module.__file__)), module.__package__ or "", module)


def _modules_in(one: _Source) -> Iterator[ModuleType]:
    """The packages a module lies in, what its names come from, and what it imports: numbers do not tell where they are from."""
    if one.module is not None:
        package = one.module.__name__
        while package := package.rpartition(".")[0]:
            yield from _loaded(package)
        for value in list(vars(one.module).values()):
            yield from _loaded(value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None))
    for name in _imported(one):
        yield from _loaded(name)


def _loaded(name: object) -> Iterator[ModuleType]:
    if isinstance(name, str) and name in sys.modules:
        yield sys.modules[name]


def _imported(one: _Source) -> Iterator[str]:
    """Names of all modules that a file imports, wherever in it; some are those of things in modules."""
    try:
        tree = ast.parse(one.file.read_bytes())
    except (SyntaxError, ValueError):  # it cannot be imported, so nothing is made of it
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = one.package.split(".")
            inside = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*inside, *([node.module] if node.module else [])])
            yield name
            yield from (f"{name}.{alias.name}" for alias in node.names)


def _not_loaded(name: str) -> Iterator[_Source]:
    """The user's files that importing a module would run, its packages' first, without running them."""
    places: list[str] | None = None
    if not all(name.split(".")):
        return
    for part in itertools.accumulate(name.split("."), "{}.{}".format):
        spec = PathFinder.find_spec(part, places)
        if spec is None:
            return
        if spec.origin and spec.origin.endswith(".py"):
            if not is_own_file(Path(spec.origin)):
                return
            is_package = spec.submodule_search_locations is not None
            package = part if is_package else part.rpartition(".")[0]
            yield _Source(absolute(spec.origin), package, sys.modules.get(part))
        if spec.submodule_search_locations is None:
            return
        places = list(spec.submodule_search_locations)
