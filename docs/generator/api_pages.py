"""Pages of the public names: of the front door first, then of each package that has some; mkdocstrings writes what they are."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

#: Package -> title and what it is for. Its `__all__` says which names are shown.
PACKAGES = {
    "edgebll": ("The front door", "What most programs need, as `import edgebll as eb`; names are loaded when asked for."),
    "edgebll.kernel.runs.run_events": ("Progress", "What the callback `progress` of a run is given."),
    "edgebll.learning": (
        "Rules and optimisers",
        "Learning rules, optimisers, and the step of a block that they make together.",
    ),
    "edgebll.learning.networks": ("Networks", "Networks that are cut into blocks: those that are shipped, and your own."),
    "edgebll.learning.training": ("Training", "Training on this machine."),
    "edgebll.data": ("Data", "Data sets, their order and augmentation, in numpy."),
    "edgebll_export": ("Export", "Networks, runs and functions as ONNX graphs."),
    "edgebll_devices": ("Boards", "Blocks in a program of one's own on a board, without host and agent."),
    "edgebll.kernel.bundle": ("Bundles", "Opening, checking and writing the folder that boards load."),
    "edgebll.kernel.wire": ("Messages", "What boards and hosts say; [the protocol](../wire.md) has what they mean."),
    "edgebll.kernel.errors": ("Errors", "All that is raised on purpose; [exit codes](../exit-codes.md) has causes and cures."),
}


def api_pages() -> dict[str, str]:
    """File name below reference/api -> Markdown. What several packages have is shown by the first; the others link to it."""
    pages: dict[str, str] = {}
    shown: dict[str, str] = {}
    for package, (title, purpose) in PACKAGES.items():
        values = {name: getattr(importlib.import_module(package), name) for name in public_names(package)}
        if values:
            page = f"{package}.md"
            pages[page] = "\n".join([f"# {title}", "", f"`{package}`: {purpose}", "", *_listed(page, values, shown)])
    listed = [f"- [{PACKAGES[name.removesuffix('.md')][0]}]({name}): `{name.removesuffix('.md')}`" for name in pages]
    return {"index.md": "\n".join(["# Python interface", "", *listed, ""]), **pages}


def _listed(page: str, values: Mapping[str, Any], shown: dict[str, str]) -> list[str]:
    """The names of a page: links to those that are shown elsewhere, constants, then what mkdocstrings shows here."""
    code = {name: f"{value.__module__}.{value.__qualname__}" for name, value in values.items() if _is_code(value)}
    links = [f"[`{name}`]({shown[path]}#{path})" for name, path in code.items() if path in shown]
    entries = [_entry(name, path) for name, path in code.items() if path not in shown]
    shown.update({path: page for path in code.values() if path not in shown})
    constants = [_constant(name, value) for name, value in values.items() if not _is_code(value)]
    table = ["| constant | |", "|---|---|", *constants, ""] if constants else []
    return [*([f"Shown elsewhere: {', '.join(links)}.", ""] if links else []), *table, *entries]


def public_names(package: str) -> list[str]:
    """The names a package shows; of one without `__all__` its classes and functions."""
    module = importlib.import_module(package)
    names = getattr(module, "__all__", None)
    if names is None:
        names = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == package]
    return sorted(names, key=str.lower)


def _is_code(value: Any) -> bool:
    """Whether a name is a class or a function, which have docstrings of their own."""
    return isinstance(value, type) or inspect.isroutine(value)


def _entry(name: str, path: str) -> str:
    """What mkdocstrings shows a name by: where it is defined, under the name by which it is imported."""
    return f"::: {path}\n    options:\n      heading: {name}\n      toc_label: {name}\n"


def _constant(name: str, value: Any) -> str:
    """A row of the table of constants; of a table its keys."""
    shown = ", ".join(f"`{key}`" for key in value) if isinstance(value, Mapping) else f"`{value!r}`"
    return f"| `{name}` | {shown} |"
