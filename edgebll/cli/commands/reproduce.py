"""`edgebll reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebll.cli.commands.recipe_runs import list_runs, tell_result
from edgebll.cli.commands.reproduce_options import (
    CompileOption,
    DeviceOption,
    MeasureOption,
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
    from edgebll.learning.reproduce.runner import Work

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
    measure: MeasureOption = False,
    json: JsonOption = False,
) -> None:
    """Train every network a table of the papers compares, and write the table with the published figures beside ours.

    Runs that are whole are not run again and interrupted ones go on from their checkpoint, so the command may be stopped
    and repeated at will. OUT/RESULTS.md holds all tables that were run into OUT, with every hyper-parameter and its source.
    """
    import_torch("train", "reproducing tables")
    from edgebll.learning.reproduce.recipe import ACCURACY
    from edgebll.learning.reproduce.recipe_file import read_recipe, recipe_names
    from edgebll.learning.reproduce.sweep import carried_out, in_channels_last, planned
    from edgebll.learning.training.torch_device import CPU

    if table is None:
        if not show_list or measure:
            raise ConfigError(f"give a table: {', '.join(recipe_names())}; --list describes them")
        _list_tables(scale, out, json)
        return
    place = _device(device, scale)
    at_once = usable_cores() if scale != FULL and place == CPU else 1
    work = planned(
        read_recipe(table),
        table,
        out,
        scale=scale,
        seeds=seeds,
        only=only or (),
        at_once=at_once if parallel is None else parallel,
        how={"device": place, "compile": _compiles(compile, place), "channels_last": in_channels_last(place)},
        minutes=minutes,
        data_dir=data_dir,
        say=say,
    )
    if measure:
        _measure(work, place)
    if show_list or measure:
        list_runs(work, json)
        return
    if scale == FULL and work.recipe.kind == ACCURACY and place == CPU and work.recipe.sources:
        say("edgebll: full scale takes days on processors; --minutes does it in pieces")
    tell_result(work, carried_out(work, out), json)


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


def _measure(work: Work, device: str) -> None:
    """Time some steps of every cell that has its data."""
    from edgebll.learning.reproduce.recipe import ACCURACY
    from edgebll.learning.reproduce.runner import runnable
    from edgebll.learning.reproduce.step_times import measure_times
    from edgebll.learning.training.torch_device import CPU

    if device != CPU or work.recipe.kind != ACCURACY:
        raise ConfigError("--measure times steps of trainings on a processor; leave it out for costs and on a GPU")
    measure_times(runnable(work), work.folder, work.data_dir, say)


def _list_tables(scale: str, out: Path, json: bool) -> None:
    from edgebll.learning.reproduce.recipe_file import read_recipe, recipe_names

    recipes: list[Recipe] = [read_recipe(name) for name in recipe_names()]
    rows = [(recipe, *_extent(recipe, scale, out)) for recipe in recipes]
    if json:
        names = ("runs", "expected_seconds_a_run", "expected_seconds")
        told = [(recipe, dict(zip(names, extent, strict=True))) for recipe, *extent in rows]
        print_json([{"table": r.name, "title": r.title, "text": r.text, "scale": scale, **extent} for r, extent in told])
        return
    columns = ("table", "what it is", f"runs ({scale})", "minutes a run", "hours of one core")
    cells = [(r.name, r.title, str(runs or "-"), _told(each, 60), _told(total, 3600)) for r, runs, each, total in rows]
    print_table(columns, cells, right=columns[2:])


def _extent(recipe: Recipe, scale: str, out: Path) -> tuple[int, float | None, float | None]:
    """How many runs a table has at a scale, and seconds of a mean run and of all, where OUT knows how long they take."""
    from edgebll.learning.reproduce.cell_times import CellTimes
    from edgebll.learning.reproduce.cells import cells_of

    if scale not in recipe.scales:
        return 0, None, None
    cells = cells_of(recipe, scale)
    total = CellTimes(cells, out / recipe.name / scale / "runs").all_of(cells)
    return len(cells), None if total is None else total / len(cells), total


def _told(seconds: float | None, unit: int) -> str:
    return "" if seconds is None else f"{seconds / unit:.1f}"
