"""`edgebll probe`: what each block of a trained network tells of the label."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebll.cli.data_options import DataDirOption, DataKeyValues, TrainedArgument, TrainedDataOption
from edgebll.cli.output import JsonOption, print_json, print_table, say, with_source
from edgebll.kernel.support.bounds import spelled_as_options
from edgebll.kernel.support.optional_imports import import_torch

if TYPE_CHECKING:
    from edgebll.learning.probing.probe import NetworkProbe


def probe(
    path: TrainedArgument,
    data: TrainedDataOption = None,
    data_option: DataKeyValues = None,
    samples: Annotated[int, typer.Option(help="Samples that a probe learns from, and that are measured on, at most.")] = 5000,
    cells: Annotated[int, typer.Option(help="Cells a side that maps are averaged to.")] = 1,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the figures of all blocks into a PNG file.", show_default=False)
    ] = None,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """Measure what each block of a trained network tells of the label: a linear probe, information, rank, separability."""
    import_torch("train", "probing a network")
    from edgebll.kernel.plots.probe_picture import draw_probe
    from edgebll.learning.probing import probe as probing

    with spelled_as_options():
        found = probing.probe(
            path, data=data, data_option=data_option, samples=samples, cells=cells, data_dir=data_dir, progress=_tell
        )
    if picture is not None:
        draw_probe([row.block for row in found.blocks], found.to_plain()["blocks"], found.label_bits, picture)
    if json:
        print_json(found.to_plain())
        return
    _print(found)


def _tell(block: str) -> None:
    say(f"edgebll: measuring {block}")


def _print(found: NetworkProbe) -> None:
    columns = ["block", "features", "linear probe %", "information, bits", "effective rank", "Fisher ratio"]
    rows = [
        [
            row.block,
            str(row.features),
            f"{100 * row.probe_accuracy:.2f}",
            f"{row.information:.3f}",
            f"{row.effective_rank:.1f}",
            f"{row.fisher_ratio:.3f}",
        ]
        for row in found.blocks
    ]
    print_table(columns, rows, right=columns[1:])
    typer.echo(
        f"{found.path}: {found.test_count} test samples of {with_source(found.data, found.data_source)}, whose labels have "
        f"{found.label_bits:.3f} bits; probes learnt from {found.train_count} training samples. The last block's features are "
        "the class scores."
    )
