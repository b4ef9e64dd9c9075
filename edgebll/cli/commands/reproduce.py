"""`edgebll reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgebll.cli.commands.reproduce_options import (
    CompileOption,
    DeviceOption,
    MinutesOption,
    OnlyOption,
    OutOption,
    ParallelOption,
    ScaleOption,
    SeedsOption,
    ShowListOption,
    TableOption,
)
from edgebll.cli.data_options import DataDirOption
from edgebll.cli.output import JsonOption, print_json, print_table, say
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.limits import usable_cores
from edgebll.kernel.support.optional_imports import import_torch

if TYPE_CHECKING:
    from edgebll.learning.reproduce.recipe import Recipe

#: The scales, as `edgebll.learning.reproduce.recipe` has them, which is not imported before it is needed.
FULL, SMALL = "full", "small"


def reproduce(
    table: TableOption = None,
    scale: ScaleOption = SMALL,
    seeds: SeedsOption = None,
    out: OutOption = Path("reproduce"),
    only: OnlyOption = None,
    minutes: MinutesOption = None,
    parallel: ParallelOption = None,
    device: DeviceOption = None,
    compile: CompileOption = None,
    data_dir: DataDirOption = None,
    show_list: ShowListOption = False,
    json: JsonOption = False,
) -> None:
    """Train every network a table of the papers compares, and write the table with the published figures beside ours.

    Runs that are whole are not run again and interrupted ones go on from their checkpoint, so the command may be stopped
    and repeated at will. OUT/RESULTS.md holds all tables that were run into OUT, with every hyper-parameter and its source.
    """
    import_torch("train", "reproducing tables")
    from edgebll.learning.reproduce.recipe import read_recipe, recipe_names

    if table is None:
        if not show_list:
            raise ConfigError(f"give a table: {', '.join(recipe_names())}; --list describes them")
        _list_tables(json)
        return
    if minutes is not None and not minutes > 0:
        raise ConfigError(f"the minutes must be above 0, not {minutes:g}")
    if parallel is not None and parallel < 1:
        raise ConfigError(f"the number of trainings at once must be at least 1, not {parallel}")
    recipe = read_recipe(table)
    from edgebll.learning.reproduce.cells import cells_of
    from edgebll.learning.reproduce.runner import Work
    from edgebll.learning.training.torch_device import CPU

    cells = cells_of(recipe, scale, seeds, only or ())
    cores, place = usable_cores(), _device(device, scale)
    at_once = parallel or (cores if scale == SMALL and place == CPU else 1)
    threads = max(1, cores // at_once)
    work = Work(
        recipe=recipe,
        scale=scale,
        cells=cells,
        folder=out / recipe.name / scale,
        source=table,
        say=say,
        data_dir=data_dir,
        parallel=min(at_once, len(cells)),
        how={"threads": threads, "device": place, "compile": _compiles(compile, place), "channels_last": place != CPU},
        minutes=minutes,
    )
    if show_list:
        _list_runs(work, json)
    else:
        _reproduce(work, out, json)


def _device(given: str | None, scale: str) -> str:
    """Where runs are trained; small tables stay on the processor, whose bits are the same everywhere."""
    from edgebll.learning.training.torch_device import AUTO, CPU, resolve_device

    return resolve_device(given or (AUTO if scale == FULL else CPU))


def _compiles(given: bool | None, device: str) -> bool:
    """Whether steps are compiled: as told, else on a GPU that has a compiler."""
    from edgebll.learning.training.torch_device import CPU, why_no_compiler

    lacks = why_no_compiler(device)
    if given and lacks:
        raise ConfigError(f"the steps cannot be compiled, for {lacks}; install it or leave --compile out")
    if given is None and device != CPU and lacks:
        say(f"edgebll: steps are not compiled, for {lacks}")
    return not lacks if given is None and device != CPU else bool(given)


def _reproduce(work: Any, out: Path, json: bool) -> None:
    """Do the runs; whatever happens, report what is there."""
    from edgebll.learning.reproduce.recipe import ACCURACY
    from edgebll.learning.reproduce.report import REPORT, write_results
    from edgebll.learning.reproduce.results import results
    from edgebll.learning.reproduce.runner import do, unfinished

    cells = work.cells
    if work.scale == FULL and work.recipe.kind == ACCURACY and work.how["device"] == "cpu":
        say("edgebll: full scale takes days on processors; --minutes does it in pieces")
    try:
        cells = do(work)
    finally:
        document = results(work.recipe, work.scale, cells, work.runs)
        if work.runs.exists():
            write_results(out, document)
    left = unfinished(work.recipe, cells, work.runs)
    if left:
        say(f"edgebll: the time is up with {left} of {len(cells)} runs not whole; give the same command to go on")
    if json:
        print_json({"report": str(out / REPORT), "left": left, **document})
        return
    typer.echo(
        f"{out / REPORT}: {document['done']} of {document['runs']} runs of {work.recipe.name}, {work.scale} scale, are whole"
    )


def _list_tables(json: bool) -> None:
    from edgebll.learning.reproduce.recipe import read_recipe, recipe_names

    recipes: list[Recipe] = [read_recipe(name) for name in recipe_names()]
    if json:
        print_json([{"table": recipe.name, "title": recipe.title, "text": recipe.text} for recipe in recipes])
        return
    print_table(("table", "what it is"), [(recipe.name, recipe.title) for recipe in recipes])


def _list_runs(work: Any, json: bool) -> None:
    from edgebll.learning.reproduce.runner import outcome

    rows = [(cell, outcome(work.recipe, cell, work.runs)) for cell in work.cells]
    if json:
        print_json([{"run": cell.title, **values} for cell, values in rows])
        return
    columns = ("run", "state", "accuracy %")
    print_table(columns, [(cell.title, _state(values), _accuracy(values)) for cell, values in rows], right=("accuracy %",))


def _state(values: dict[str, Any]) -> str:
    reason = values.get("reason")
    return f"{values['state']}: {reason}" if reason else values["state"]


def _accuracy(values: dict[str, Any]) -> str:
    return f"{100 * values['accuracy']:.2f}" if "accuracy" in values else ""
