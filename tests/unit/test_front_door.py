"""The front door: every name of `edgebll.__all__` is there, typed, documented, and is what the command line calls."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgebll
from edgebll.cli.commands import compare, evaluate, train
from edgebll.kernel.errors import MissingExtraError
from edgebll_export.commands import export
from edgebll_firmware_host.commands import run
from edgebll_firmware_host.commands.virtual_time import OF_VIRTUAL
from edgebll_firmware_host.run.run_spec import ClusterSpec, SimulateSpec

ROOT = Path(__file__).parents[2]
#: What each command is called with, besides its options, and what only Python takes.
CONTEXT, PYTHON = {"context", "json", "csv"}, {"progress", "network"}
COMMANDS: dict[str, Callable[..., object]] = {
    "compare": compare.compare,
    "train": train.train,
    "evaluate": evaluate.evaluate,
    "export": export.export,
    "verify": export.verify,
    "simulate": run.simulate,
    "run": run.run,
}


def defaults(function: Callable[..., object], without: set[str]) -> dict[str, object]:
    return {name: p.default for name, p in inspect.signature(function).parameters.items() if name not in without}


def test_the_names_are_sorted_and_each_is_the_object_that_its_type_says() -> None:
    functions = sorted(name for name in edgebll.__all__ if name[0].islower())
    classes = [name for name in edgebll.__all__ if name[0].isupper()]
    assert edgebll.__all__ == [*sorted(classes, key=lambda name: (not name.isupper(), name)), *functions]
    tree = ast.parse(Path(edgebll.__file__ or "").read_text(encoding="utf-8"))
    imports = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level == 0]
    typed = {alias.name: node.module for node in imports for alias in node.names}
    for name in edgebll.__all__:
        found = getattr(edgebll, name)
        assert (found.__name__, edgebll._PLACES[name]) == (name, f"{typed[name]}:{name}")
        assert name in dir(edgebll)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = edgebll.nonsense


@pytest.mark.parametrize("name", COMMANDS)
def test_a_function_takes_what_its_command_takes(name: str) -> None:
    """The same names with the same defaults, so that what is known of one is known of the other."""
    function = getattr(edgebll, name)
    extra = PYTHON if name != "train" else {"progress"}
    alone = {"virtual", "seeds", *OF_VIRTUAL} if name == "simulate" else set()  # runs in virtual time are the command's
    assert defaults(function, extra) == defaults(COMMANDS[name], CONTEXT | alone)


@pytest.mark.parametrize("spec", [SimulateSpec, ClusterSpec])
def test_a_spec_has_the_defaults_of_its_command(spec: type[Any]) -> None:
    """Paths are texts there, and what is not of the run itself is no part of it."""
    apart = {"bundle", "cluster", "out", "resume", "overwrite", "preflight", "progress"}
    own = {name: value for name, value in vars(spec()).items() if name not in apart}
    own["data_option"] = own.pop("data_options")  # one at a time as they are given, all of them as they are written down
    assert own == defaults(getattr(edgebll, spec.kind), apart)


@pytest.mark.parametrize("name", edgebll.__all__)
def test_every_name_says_what_it_is_each_argument_and_shows_an_example(name: str) -> None:
    found = getattr(edgebll, name)
    text = inspect.getdoc(found) or ""
    assert text.splitlines()[0].endswith((".", ":")), "one line first"
    if name not in ("EdgebllError", "RunEvent"):
        assert ">>> " in text
    if inspect.isfunction(found):
        section = text.partition("Args:")[2].partition("\n\n")[0]
        told = re.findall(r"^    (\w+): \S", section, re.MULTILINE)
        named = [n for n, p in inspect.signature(found).parameters.items() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        assert [one for one in told if one in named] == named
        assert "Raises:" in text


def test_the_page_has_every_name_and_where_it_is_defined() -> None:
    """The page is written from the package; what mkdocstrings is told to show is what a user gets."""
    spec = importlib.util.spec_from_file_location("api_pages", ROOT / "docs" / "generator" / "api_pages.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    shown = re.findall(
        r"^::: ([\w.]+)\.(\w+)\n    options:\n      heading: (\w+)$", generator.api_pages()["edgebll.md"], re.MULTILINE
    )
    assert sorted(heading for _, _, heading in shown) == sorted(edgebll.__all__)
    for module, name, heading in shown:
        assert getattr(importlib.import_module(module), name) is getattr(edgebll, heading)


@pytest.mark.parametrize(("name", "extra"), [("train", "train"), ("BLL", "train"), ("export", "export"), ("verify", "export")])
def test_what_is_not_installed_is_named(name: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(vars(edgebll), name, raising=False)
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(MissingExtraError, match=rf"edgebll\.{name} needs torch, .*edgebll\[{extra}\]"):
        getattr(edgebll, name)
