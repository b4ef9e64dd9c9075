"""`edgebll sweep` and `reproduce` as a function: every run of a recipe, and the report of what came of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgebll.kernel.errors import ConfigError, EdgebllError
from edgebll.kernel.limits import usable_cores
from edgebll.kernel.support.bounds import PROCESSES
from edgebll.learning.reproduce.cells import cells_of
from edgebll.learning.reproduce.one_run import DONE, FAILED, SKIPPED
from edgebll.learning.reproduce.parameters import check_told
from edgebll.learning.reproduce.recipe import FULL, Recipe
from edgebll.learning.reproduce.recipe_file import read_recipe
from edgebll.learning.reproduce.report import REPORT, write_results
from edgebll.learning.reproduce.results import results
from edgebll.learning.reproduce.runner import Work, do
from edgebll.learning.training.torch_device import CPU, resolve_device, why_no_compiler

Place = str | os.PathLike[str]


@dataclass(frozen=True)
class SweepResult:
    """What came of a recipe's runs.

    Attributes:
        runs: folder that holds the run folders; `edgebll.compare` takes it.
        report: RESULTS.md.
        left: runs that could go on or begin.
        document: what results.json holds: "lines" of the table and "cells" with every run's configuration.
        errors: run -> why it could not be done.
    """

    runs: Path
    report: Path
    left: int
    document: dict[str, Any] = field(repr=False)
    errors: dict[str, EdgebllError] = field(default_factory=dict, repr=False)

    def check(self) -> None:
        """Raise an error that tells what runs could not be done, with the exit code of theirs, if there are any."""
        reasons = list(dict.fromkeys(map(str, self.errors.values())))
        if not reasons:
            return
        count, total = len(self.errors), self.document["runs"]
        told = reasons[0] if len(reasons) == 1 else "each said why above"
        codes = {error.exit_code for error in self.errors.values()}
        error = EdgebllError(f"{count} of {total} runs could not be done: {told}; mend it and give the same command again")
        error.exit_code = codes.pop() if len(codes) == 1 else EdgebllError.exit_code
        raise error


def sweep(
    recipe: Place,
    *,
    out: Place = Path("sweeps"),
    scale: str = FULL,
    seeds: int | None = None,
    only: Sequence[str] | None = None,
    jobs: int | None = None,
    minutes: float | None = None,
    device: str = CPU,
    compile: bool = False,
    data_dir: Place | None = None,
    progress: Callable[[str], None] | None = None,
) -> SweepResult:
    """Train every run that a recipe asks for, several at once in processes that stay warm, and write the report.

    Runs that are whole are not run again, and unfinished ones go on from their checkpoint. One that cannot be done does not end
    the others; `SweepResult.errors` has it.

    Args:
        recipe: path of a recipe, FILE.toml, or the name of one that comes with edgebll.
        out: folder for RESULTS.md, results.json and the runs.
        scale: "full", "medium" or "small", where the recipe has them.
        seeds: of every run; by default as many as the recipe says.
        only: names of rules, besides the baseline; by default all.
        jobs: trainings at once; by default one a core, on a GPU one.
        minutes: begin nothing after so long; by default as long as it takes.
        device: "cpu", "cuda" or "auto"; only "cpu" gives the same bits every time.
        compile: compile the steps.
        data_dir: folder with the data sets' files.
        progress: takes a line of text now and then; processes of their own say how they get on on stderr.

    Returns:
        Where the runs and the report are, and what came of them.

    Raises:
        ConfigError: the recipe or an option is wrong.
        DataError: a data set is missing and nothing is left that does without.
        StorageError: the report cannot be written.

    Examples:
        >>> import edgebll
        >>> from pathlib import Path
        >>> text = '''
        ... train = { epochs = 1, batch_size = 16, limit = 160 }
        ... settings = [{ name = "digits", blocks = [2], train = { data = "digits", network = "mlp" } }]
        ... rules = [{ name = "BLL", rule = "bll", grid = { match = [1.0, 2.0] } }]
        ... '''
        >>> _ = Path("mine.toml").write_text(text)
        >>> found = edgebll.sweep("mine.toml", jobs=1)
        >>> found.report.name, found.left, [line["rule"] for line in found.document["lines"]]
        ('RESULTS.md', 0, ['BLL match=1.0', 'BLL match=2.0'])
    """
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
        progress=progress,
    )
    return carried_out(work, Path(out))


def work_of(
    recipe: Place,
    *,
    out: Place,
    scale: str,
    seeds: int | None,
    only: Sequence[str] | None,
    jobs: int | None,
    minutes: float | None,
    device: str,
    compile: bool,
    data_dir: Place | None,
    progress: Callable[[str], None] | None,
) -> Work:
    """What a sweep is to do; arguments and errors are those of `sweep`."""
    place = resolve_device(device)
    if compile and (lacks := why_no_compiler(place)):
        raise ConfigError(f"the steps cannot be compiled, for {lacks}; install it or do not compile")
    table = os.fspath(recipe)
    return planned(
        read_recipe(table),
        table,
        Path(out),
        scale=scale,
        seeds=seeds,
        only=only or (),
        at_once=(usable_cores() if place == CPU else 1) if jobs is None else jobs,
        how={"device": place, "compile": compile, "channels_last": in_channels_last(place)},
        minutes=minutes,
        data_dir=None if data_dir is None else Path(data_dir),
        say=progress or (lambda _: None),
    )


def in_channels_last(device: str) -> bool | None:
    """Whether maps have their channels last: always on a GPU, on a processor (None) where that pays, which is in bfloat16.

    Args:
        device: where runs are trained.
    """
    return True if device != CPU else None


def planned(
    recipe: Recipe,
    source: str,
    out: Path,
    *,
    scale: str,
    seeds: int | None,
    only: Sequence[str],
    at_once: int,
    how: Mapping[str, Any],
    minutes: float | None,
    data_dir: Path | None,
    say: Callable[[str], None],
) -> Work:
    """What is to be done; the cores are shared by the trainings that really run at once.

    Args:
        recipe: as it was read.
        source: what it was read from.
        out: folder of the report.
        scale: "full", "medium" or "small".
        seeds: of every run; None for as many as the recipe says.
        only: names of rules; empty for all.
        at_once: trainings at once.
        how: "device", "compile" and "channels_last" of every run.
        minutes: begin nothing after so long; None for as long as it takes.
        data_dir: folder with the data sets' files; None where they usually are.
        say: told how it goes, a line at a time.

    Raises:
        ConfigError: an option is wrong.
    """
    if minutes is not None and not minutes > 0:
        raise ConfigError(f"the minutes must be above 0, not {minutes:g}")
    PROCESSES.check("the number of trainings at once", at_once)
    cells = cells_of(recipe, scale, seeds, only)
    check_told(recipe, scale, cells)  # before hours of training, not after
    parallel = min(at_once, len(cells))
    threads = max(1, usable_cores() // parallel)
    folder = out / recipe.name / scale
    return Work(recipe, scale, cells, folder, source, say, data_dir, parallel, {"threads": threads, **how}, minutes)


def carried_out(work: Work, out: Path) -> SweepResult:
    """Do the work; whatever happens, write down what is there.

    Args:
        work: what is to be done.
        out: folder of the report.
    """
    cells, errors = work.cells, dict[str, EdgebllError]()
    try:
        cells, errors = do(work)
    finally:
        document = results(work.recipe, work.scale, cells, work.runs)
        if work.runs.exists():
            write_results(out, document)
    left = sum(cell["state"] not in (DONE, FAILED, SKIPPED) for cell in document["cells"])
    titles = {cell.folder: cell.title for cell in cells}
    return SweepResult(work.runs, out / REPORT, left, document, {titles[name]: error for name, error in errors.items()})
