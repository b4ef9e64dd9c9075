"""What `edgebll reproduce` and `edgebll sweep` print of the runs of a recipe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import typer

from edgebll.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from edgebll.learning.reproduce.recipe import Recipe
    from edgebll.learning.reproduce.runner import Work
    from edgebll.learning.reproduce.sweep import SweepResult


def list_runs(work: Work, json: bool) -> None:
    """Print the runs and how far each is.

    Args:
        work: the runs.
        json: as JSON.
    """
    from edgebll.learning.reproduce.cell_times import CellTimes, duration_text
    from edgebll.learning.reproduce.one_run import DONE, FAILED, SKIPPED
    from edgebll.learning.reproduce.recipe import ACCURACY
    from edgebll.learning.reproduce.runner import listed, outcome

    times = CellTimes(work.cells, work.runs)
    rows = [(cell, outcome(work.recipe, cell, work.runs), times.seconds(cell)) for cell in listed(work)]
    if json:
        print_json([{"run": cell.title, **values, "expected_seconds": seconds} for cell, values, seconds in rows])
        return
    recipe = work.recipe
    what = "accuracy %" if recipe.metric == ACCURACY else recipe.metric.replace("_", " ")
    shared = {state: runs for state, runs in Counter(_state(values) for _, values, _ in rows).items() if runs > 1}
    told = [(cell.title, _in_row(values, shared), _figure(recipe, values), _minutes(seconds)) for cell, values, seconds in rows]
    print_table(("run", "state", what, "minutes"), told, right=(what, "minutes"))
    for state, runs in shared.items():
        if ": " in state:
            say(f"edgebll: {runs} runs are {state}")
    left = times.left([c for c, values, _ in rows if values["state"] not in (DONE, FAILED, SKIPPED)], work.parallel)
    if left:
        say(f"edgebll: about {duration_text(left)} for what is left, {work.parallel} at once")


def tell_result(work: Work, result: SweepResult, json: bool) -> None:
    """Print what came of the runs.

    Args:
        work: what was to be done.
        result: what was done.
        json: as JSON.

    Raises:
        EdgebllError: runs could not be done.
    """
    document = result.document
    waiting = result.left - len(result.errors)
    if waiting:
        say(f"edgebll: the time is up with {waiting} of {document['runs']} runs not whole; give the same command to go on")
    if json:
        errors = {title: str(error) for title, error in result.errors.items()}
        print_json({"report": str(result.report), "left": result.left, "errors": errors, **document})
    else:
        done = f"{document['done']} of {document['runs']} runs of {work.recipe.name}"
        typer.echo(f"{result.report}: {done}{f', {work.scale} scale,' if work.recipe.has_scales else ''} are whole")
    result.check()


def _state(values: dict[str, Any]) -> str:
    reason = values.get("reason")
    return f"{values['state']}: {reason}" if reason else values["state"]


def _in_row(values: dict[str, Any], shared: Collection[str]) -> str:
    """A run's state with its reason, unless others have it for the same one: that is told once, below the table."""
    state = _state(values)
    return str(values["state"]) if state in shared else state


def _minutes(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds / 60:.1f}"


def _figure(recipe: Recipe, values: dict[str, Any]) -> str:
    return f"{recipe.figure_of(values):.2f}" if "accuracy" in values else ""
