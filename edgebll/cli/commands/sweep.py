"""`edgebll sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebll.cli.commands.recipe_runs import list_runs, tell_result
from edgebll.cli.commands.reproduce_options import MinutesOption, OnlyOption, SeedsOption, ShowRunsOption
from edgebll.cli.data_options import DataDirOption
from edgebll.cli.output import JsonOption, say
from edgebll.kernel.support.optional_imports import import_torch

FULL = "full"


def sweep(
    recipe: Annotated[str, typer.Argument(help="Your recipe, FILE.toml, or the name of a table.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for RESULTS.md, results.json and the runs.")] = Path("sweeps"),
    scale: Annotated[str, typer.Option(help="full, medium or small, where the recipe has them.")] = FULL,
    seeds: SeedsOption = None,
    only: OnlyOption = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", help="Trainings at once. [default: one a core, on a GPU one]", show_default=False),
    ] = None,
    minutes: MinutesOption = None,
    device: Annotated[str, typer.Option(help="cpu, cuda (a GPU) or auto.")] = "cpu",
    compile: Annotated[bool, typer.Option("--compile", help="Compile the steps.")] = False,
    data_dir: DataDirOption = None,
    show_list: ShowRunsOption = False,
    json: JsonOption = False,
) -> None:
    """Train every run that a recipe asks for, several at once in processes that stay warm, and write the report.

    Runs that are whole are not run again and interrupted ones go on from their checkpoint, so the command may be stopped
    and repeated at will. A run that cannot be done is named and does not end the others. `edgebll compare OUT/RECIPE/full/runs`
    then says which differences are more than chance.
    """
    import_torch("train", "sweeps")
    from edgebll.learning.reproduce.sweep import carried_out, work_of

    work = work_of(
        recipe,
        out=out,
        scale=scale,
        seeds=seeds,
        only=only,
        jobs=jobs,
        minutes=minutes,
        device=device,
        compile=compile,
        data_dir=data_dir,
        progress=say,
    )
    if show_list:
        list_runs(work, json)
        return
    tell_result(work, carried_out(work, out), json)
