"""`edgebll data`: data sets."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from edgebll.cli.command_group import example, make_group
from edgebll.cli.data_options import DataDirOption, DataKeyValues
from edgebll.cli.output import JsonOption, print_json, print_table, say
from edgebll.data.dataset_places import dataset_places
from edgebll.kernel.support.option_values import parse_options

app = make_group("data", "List data sets, get their files, and check your own data.")
_LINE_S = 2.0
#: So many classes of data, and values of an option, are printed; --json has all.
_SHOWN = 20


@app.callback()
def root() -> None:
    """List data sets, get their files, and check your own data."""


@app.command("list", epilog=example("edgebll data list"))
def list_datasets(
    data_dir: Annotated[Path | None, typer.Option(help="Look only in this folder.")] = None, json: JsonOption = False
) -> None:
    """List the known data sets and where their files are."""
    rows = dataset_places(data_dir)
    if json:
        print_json(rows)
        return
    print_table(("data set", "here", "where"), [(r["name"], "yes" if r["found"] else "no", r["where"]) for r in rows])


@app.command(epilog=example("edgebll data fetch fashion-mnist"))
def fetch(
    name: Annotated[str, typer.Argument(help="The data set: fashion-mnist, cifar-10 or cifar-100.")],
    to: Annotated[Path | None, typer.Option(help="Folder for the files. [default: the user's data folder]")] = None,
    url: Annotated[
        str | None,
        typer.Option(help="Address of the archive, or of fashion-mnist's folder of .gz files. [default: the official one]"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Download a data set's files, going on where an earlier try stopped, and check their SHA-256."""
    from edgebll.data.fetch import fetch as fetch_files

    folder = fetch_files(name, to, url=url, report=_Lines())
    if json:
        print_json({"name": name, "path": str(folder)})
    else:
        typer.echo(f"{name} is in {folder}")


@app.command(epilog=example("edgebll data check photos --picture photos.png"))
def check(
    data: Annotated[str, typer.Argument(metavar="DATA", help="The path of your own data, or the name of a data set.")],
    data_option: DataKeyValues = None,
    picture: Annotated[Path | None, typer.Option(help="Draw some samples to this PNG file.")] = None,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """Read data as a training would: how many samples of each class, their shape, and files that are left out."""
    from edgebll.data.data_report import check_data

    found = check_data(data, parse_options("data", data_option), data_dir=data_dir, picture=picture, tell=say)
    if json:
        print_json(found)
        return
    shape = "x".join(map(str, found["shape"]))
    samples = found["samples"]
    task = f"{found['task']} of {'x'.join(map(str, found['outputs']))}"
    typer.echo(
        f"{data}: {found['kind']}, {samples['train']} training and {samples['test']} test samples of {shape}, for {task}"
    )
    for name, one in found.get("inputs", {}).items():
        typer.echo(f"besides x: {name}, {one['dtype']} of {'x'.join(map(str, one['shape'])) or 'one number'}")
    if found["classes"]:
        rows = [(c["name"], str(c["train"]), str(c["test"])) for c in found["classes"]]
        print_table(("class", "train", "test"), rows[:_SHOWN])
        if len(rows) > _SHOWN:
            typer.echo(f"and {len(rows) - _SHOWN} more classes; --json has all")
    for reason in found["skipped"]:
        typer.echo(f"left out: {reason}")
    for name, value in found["options"].items():
        typer.echo(f"{name}={_listed(value) if isinstance(value, list) else value}")


def _listed(values: list[object]) -> str:
    """Values with commas between, at most so many."""
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ",".join(map(str, values[:_SHOWN])) + more


class _Lines:
    """Tells how far a download is: in one line that is rewritten on a terminal, a line every few seconds elsewhere."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, name: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        terminal = sys.stderr.isatty()
        if done != total and now - self._last < (0.1 if terminal else _LINE_S):
            return
        self._last = now
        text = f"{name}: {done / 1e6:.1f} MB" + (f" of {total / 1e6:.1f} MB" if total else "")
        if not terminal:
            say(text)
            return
        print(f"\r\x1b[K{text}", end="\n" if done == total else "", file=sys.stderr, flush=True)
