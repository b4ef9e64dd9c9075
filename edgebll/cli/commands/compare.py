"""`edgebll compare`: runs grouped by their options, with mean, spread and what differs by more than chance."""

from __future__ import annotations

import csv as csv_format
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebll.cli.output import JsonOption, print_json, print_table, say
from edgebll.kernel.comparison import compare_runs
from edgebll.kernel.comparison.run_groups import option_text
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.runs.metric_text import SHARES

if TYPE_CHECKING:
    from edgebll.kernel.comparison.compare_runs import RunComparison
    from edgebll.kernel.comparison.group_difference import GroupDifference

_COUNTED = ("n", "mean", "spread", "difference", "matched seeds", "interval low", "interval high", "verdict")


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, or folders that hold runs.")],
    metric: Annotated[
        str | None,
        typer.Option(help="What is compared, e.g. loss or seconds. [default: the runs' first metric]", show_default=False),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Compare with this run's group. [default: the first run's]", show_default=False),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw curves with mean and spread into a PNG file.", show_default=False)
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print the table as CSV, one line a group.")] = False,
    json: JsonOption = False,
) -> None:
    """Compare runs that differ in their options, over runs that differ in nothing but their seeds.

    The groups follow from what the runs were told, and the table shows which options differ. A difference is called only where
    it is more than chance and more than the spread; the rule stands below the table.
    """
    if csv and json:
        raise ConfigError("--csv and --json exclude each other; give one of them")
    found = compare_runs.compare(runs, metric=metric, against=against, picture=picture)
    for path in found.left_out:
        say(f"edgebll: {path} is left out: it is not whole")
    if json:
        print_json(found.to_plain())
    elif csv:
        _print_csv(found)
    else:
        _print_table(found)


def _print_csv(found: RunComparison) -> None:
    """Numbers as they are, not rounded, and shares not in percent."""
    writer = csv_format.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*found.options, *_COUNTED])
    for index, group in enumerate(found.groups):
        one = found.difference(index)
        told: list[Any] = [len(group.runs), group.mean, group.spread]
        told += ["", "", "", "", "reference"] if one is None else [one.mean, len(one.seeds), one.low, one.high, one.verdict]
        writer.writerow([*(group.options.get(name, "") for name in found.options), *told])


def _print_table(found: RunComparison) -> None:
    share = found.metric in SHARES
    scale, what = (100.0, f"{found.metric} %") if share else (1.0, found.metric)
    columns = [*found.options, "n", what, "difference", "interval", "verdict"]
    rows = []
    for index, group in enumerate(found.groups):
        options = [option_text(group.options[name]) if name in group.options else "" for name in found.options]
        ours = _number(scale * group.mean) + ("" if group.spread is None else f" ± {_number(scale * group.spread)}")
        rows.append([*options, str(len(group.runs)), ours, *_told(found.difference(index), scale)])
    print_table(columns, rows, right=("n", what, "difference", "interval"))
    if found.differences:
        typer.echo(f"{found.rule} ± is the standard deviation over seeds.")


def _told(one: GroupDifference | None, scale: float) -> list[str]:
    """The difference, how many seeds it is from, its interval and its name."""
    if one is None:
        return ["", "", "reference"]
    basis = f"{len(one.seeds)} seeds" if one.paired else f"n {one.counts[0]}, {one.counts[1]}"
    low_high = "" if one.low is None or one.high is None else f"{_signed(scale * one.low)} to {_signed(scale * one.high)}"
    return [f"{_signed(scale * one.mean)} ({basis})", low_high, one.verdict]


def _number(value: float) -> str:
    return f"{value:.2f}" if 0.1 <= abs(value) < 1e4 or not value else f"{value:.4g}"


def _signed(value: float) -> str:
    return f"{value:+.2f}" if 0.1 <= abs(value) < 1e4 or not value else f"{value:+.4g}"
