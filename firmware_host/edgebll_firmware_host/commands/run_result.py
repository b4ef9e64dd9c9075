"""What `edgebll simulate` and `run` have in common: progress on stderr, the result on stdout, a hint where it is cut off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from edgebll.cli.interrupted_run import hint_on_interrupt
from edgebll.cli.output import print_json
from edgebll.cli.progress import RunProgress
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.runs.metric_text import metric_text
from edgebll.kernel.runs.run_result import RunResult
from edgebll.kernel.support.bounds import spelled_as_options

#: Options that a run that is resumed takes besides.
_WITH_RESUME = ("resume", "json", "cluster", "preflight")


def execute(context: typer.Context, function: Callable[..., RunResult], title: str) -> None:
    """Run a command by the function of the same options, and print its result.

    Args:
        context: of the command, with its options.
        function: `simulate` or `run` of `edgebll_firmware_host.run.entry_points`.
        title: what goes on, for the progress.
    """
    options = dict(context.params)
    json, run = options.pop("json"), options["resume"] or options["out"]
    if options["resume"] is not None:
        _check_only_resume(context)
        options = {name: options[name] for name in _WITH_RESUME if name in options}
    else:
        _check_needed(context)
    with spelled_as_options(), hint_on_interrupt(run), RunProgress(title) as progress:
        result = function(**options, progress=progress)
    _print_result(result, json=json)


def _check_needed(context: typer.Context) -> None:
    """Raise ConfigError where something is missing that only a run that is resumed does without."""
    options = context.params
    if options["bundle"] is None:
        raise ConfigError(f"give the bundle to run, or --resume RUN; see `{context.command_path} --help`")
    if options["out"] is None:
        raise ConfigError("give the run folder to write with --out")
    if "cluster" in options and options["cluster"] is None:
        raise ConfigError("give the inventory of boards with --cluster")


def _check_only_resume(context: typer.Context) -> None:
    """Raise ConfigError if a run that is resumed is given options of its own: it goes on as it began."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE" and name not in _WITH_RESUME:
            raise ConfigError(f"--resume goes on with the run as it began; leave out {_as_typed(context, name)}")


def _as_typed(context: typer.Context, name: str) -> str:
    parameter = next(one for one in context.command.params if one.name == name)
    return parameter.opts[0] if parameter.param_type_name == "option" else name.upper()


def _print_result(result: RunResult, *, json: bool) -> None:
    summary: dict[str, Any] = result.summary
    if json:
        print_json({"path": str(result.path), **summary})
        return
    figures = {name: value for name, value in result.metrics.items() if name != "loss"} or result.metrics
    typer.echo(
        f"{result.path}: {metric_text(figures) or 'not evaluated'}, {summary['steps']} steps in {summary['seconds']:.1f} s "
        f"({summary['samples_per_second']:.0f} samples/s), state {result.state_sha256[:16]}"
    )
