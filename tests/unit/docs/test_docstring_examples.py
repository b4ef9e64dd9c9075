"""The examples in docstrings give what they say. Those of `edgebll.__all__` need runs: tests/documentation has them."""

from __future__ import annotations

import doctest
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import edgebll

ROOT = Path(__file__).resolve().parents[3]
#: Folders that are on the import path, with the package in each.
PACKAGES = {".": "edgebll", "export": "edgebll_export", "devices": "edgebll_devices", "firmware_host": "edgebll_firmware_host"}


def modules() -> Iterator[str]:
    """All that have an example."""
    for place, package in PACKAGES.items():
        for path in sorted((ROOT / place / package).rglob("*.py")):
            if re.search(r"^ *>>> ", path.read_text(), re.MULTILINE):
                parts = path.relative_to(ROOT / place).with_suffix("").parts
                yield ".".join(part for part in parts if part != "__init__")


def examples() -> dict[str, doctest.DocTest]:
    """By the name of what they are of, without those of the front door."""
    front = {id(getattr(edgebll, name)) for name in edgebll.__all__}
    finder, found = doctest.DocTestFinder(exclude_empty=True), {}
    for name in modules():
        module = importlib.import_module(name)
        doors = {key for key, value in vars(module).items() if id(value) in front}
        for test in finder.find(module, name):
            if test.examples and test.name.removeprefix(f"{name}.").partition(".")[0] not in doors:
                found[test.name] = test
    return found


EXAMPLES = examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_gives_what_it_says(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # some write files
    test = EXAMPLES[name]
    test.globs = {}
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
    assert not result.failed, capsys.readouterr().out


def test_examples_are_found() -> None:
    assert {"edgebll.kernel.spec.lr_schedule.Schedule", "edgebll.learning.rules.greedy.Greedy"} <= EXAMPLES.keys()
    assert not any(name.endswith(".train") for name in EXAMPLES)
