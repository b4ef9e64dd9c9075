"""`edgebll-board verify`: does this board compute what the exporter computed?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebll.cli.command_group import example
from edgebll.cli.output import JsonOption, print_json, print_table, say, show_long_work
from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.errors import VerifyError

if TYPE_CHECKING:
    from edgebll_devices.runtimes.golden_replay import GoldenRow


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(
        short_help="Replay a bundle's golden vectors on this board.",
        epilog=example("edgebll-board verify bundles/first --runtime tensorrt"),
    )(verify)


def verify(
    bundle: Annotated[Path, typer.Argument(help="Bundle folder, as `edgebll export` wrote it.")],
    runtime: Annotated[str, typer.Option(help="What computes: onnxruntime, tensorrt, ...")] = "onnxruntime",
    threads: Annotated[int, typer.Option(help="Threads of one training step.")] = 1,
    json: JsonOption = False,
) -> None:
    """Repeat the bundle's recorded training steps on this board and compare every output and every weight after them."""
    from edgebll_devices.runtimes.golden_replay import failures, replay

    show_long_work()
    opened = open_bundle(bundle)
    rows = {block.name: replay(opened, block.name, runtime, threads=threads) for block in opened.manifest.blocks}
    failed = [(name, row) for name, found in rows.items() for row in failures(found)]
    if json:
        shared = {"precision": opened.manifest.precision}
        outputs = [{"block": n, **shared, **row._asdict(), "failed": row.failed} for n, found in rows.items() for row in found]
        print_json({"bundle": str(bundle), "runtime": runtime, "passed": not failed, "outputs": outputs})
    else:
        _print_worst(rows, f"{bundle} on {runtime}: largest errors")
    if failed:
        name, worst = max(failed, key=lambda pair: pair[1].max_rel_error)
        raise VerifyError(
            f"{len(failed)} outputs differ on {runtime}, most of all {worst.tensor} of {name} ({worst.max_rel_error:.2g}); "
            "do not train with this runtime on this board"
        )
    say(f"edgebll-board: all {sum(map(len, rows.values()))} outputs agree")


def _print_worst(rows: dict[str, list[GoldenRow]], title: str) -> None:
    worst = {name: max(found, key=_badness) for name, found in rows.items()}
    cells = [(name, row.tensor, f"{row.max_rel_error:.2e}", f"{row.tolerance:g}", _verdict(row)) for name, row in worst.items()]
    columns = ("block", "worst output", "max rel error", "tolerance", "")
    print_table(columns, cells, title=title, right=columns[2:4])


def _badness(row: GoldenRow) -> tuple[bool, bool, float]:
    """Failures first, then those that agree to the tolerance: what is nothing but rounding has no error worth naming."""
    return row.failed, not row.by_rounding, row.max_rel_error


def _verdict(row: GoldenRow) -> str:
    if row.failed:
        return "differs"
    return "ok, within rounding" if row.by_rounding else "ok"
