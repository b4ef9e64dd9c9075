"""Where things live: no import runs upward, no circle, and every "module:name" of a table is there."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from edgebll.cli.command_table import COMMANDS
from edgebll.kernel.execution.runtime_table import INT8_FORWARDS, LOADERS, WHY_MISSING
from edgebll.kernel.spec.runtime_names import RUNTIMES

ROOT = Path(__file__).parents[2]
WINGS = {"edgebll": ROOT, **{f"edgebll_{room}": ROOT / wing for wing, room in [("export", "export"), ("devices", "devices")]}}
WINGS["edgebll_firmware_host"] = ROOT / "firmware_host"
#: Floors from below; a module belongs to the longest prefix.
FLOORS = {
    "edgebll.kernel": 0,
    "edgebll.data": 1,
    "edgebll.cli": 2,
    "edgebll.learning": 3,
    "edgebll_devices": 3,
    "edgebll_firmware_host": 3,
    "edgebll_export": 4,
    "edgebll.cli.commands": 5,
    "edgebll": 6,
}


def modules() -> dict[str, Path]:
    """Every module of ours and its file."""
    found = {}
    for package, root in WINGS.items():
        for file in (root / package).rglob("*.py"):
            parts = file.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


MODULES = modules()


def imports_of(module: str) -> set[str]:
    """The modules of ours that a module imports when it runs, at its top or inside functions."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    typing = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    apart = {id(inner) for node in typing for inner in ast.walk(node)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in apart:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            deeper = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (deeper & MODULES.keys()) or {node.module}
    return (found & MODULES.keys()) - {module}


def floor(module: str) -> int:
    return FLOORS[max((prefix for prefix in FLOORS if f"{module}.".startswith(f"{prefix}.")), key=len)]


def test_no_import_runs_upward() -> None:
    upward = [(a, b) for a in MODULES for b in imports_of(a) if floor(b) > floor(a) and b != "edgebll"]
    assert not upward


def test_no_circle() -> None:
    edges = {module: imports_of(module) for module in MODULES}
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " -> ".join((*above, module))
        if module not in done:
            for other in sorted(edges[module]):
                visit(other, (*above, module))
            done.add(module)

    for module in edges:
        visit(module, ())


@pytest.mark.parametrize("target", [*(row.target for row in COMMANDS), *(loader.target for loader in LOADERS.values())])
def test_every_row_of_a_table_is_there(target: str) -> None:
    module, _, name = target.partition(":")
    try:
        assert callable(getattr(importlib.import_module(module), name))
    except ImportError as error:
        if (error.name or "").startswith("edgebll"):
            raise
        pytest.skip(f"{error.name} is not installed")


def test_other_targets_are_there_too() -> None:
    assert tuple(LOADERS) == RUNTIMES or set(LOADERS) == set(RUNTIMES)
    for target in (WHY_MISSING, *(loader.target for loader in INT8_FORWARDS.values())):
        module, _, name = target.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_unit_tests_lie_in_the_rooms_of_what_they_test() -> None:
    """On the ground floor lies only what tests the whole project."""
    tests = ROOT / "tests" / "unit"
    rooms = {"kernel", "data", "learning", "cli", "export", "devices", "host", "docs"}
    assert {file.relative_to(tests).parts[0] for file in tests.glob("*/**/*.py")} == rooms
    whole = {
        "test_claims",
        "test_front_door",
        "test_names",
        "test_no_pickle_in_sources",
        "test_reliability_numbers",
        "test_rooms",
    }
    assert {file.stem for file in tests.glob("*.py")} == whole | {"test_sizes"}
