"""`edgebll nir export`: a trained network of spiking blocks as a NIR graph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebll.cli.data_options import DataDirOption, DataKeyValues, TrainedArgument
from edgebll.cli.output import JsonOption, print_json, print_table
from edgebll.cli.progress import RunProgress
from edgebll.kernel.support.bounds import spelled_as_options
from edgebll.kernel.support.option_values import parse_options
from edgebll.kernel.support.optional_imports import import_exporter
from edgebll_export.commands.nir_check import print_report
from edgebll_export.commands.nir_options import RateOption, SamplesOption, SeedOption

if TYPE_CHECKING:
    from edgebll_export.nir.export_graph import ExportedGraph


def export_net(
    run: TrainedArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write, NAME.nir; an earlier one is replaced.")],
    block: Annotated[
        str | None, typer.Option(help="Write this block alone, e.g. block0. [default: the whole network]", show_default=False)
    ] = None,
    quantize: Annotated[
        str | None,
        typer.Option(
            help="Round to the precision of a chip: int8 (weights), spinnaker2 (biases too) or xylo (decays as shifts too). "
            "[default: not at all]",
            show_default=False,
        ),
    ] = None,
    approximate: Annotated[
        bool,
        typer.Option("--approximate", help="Leave out what NIR has no words for: reset by subtraction, refractory periods."),
    ] = False,
    spikes_only: Annotated[
        bool,
        typer.Option(
            "--spikes-only", help="Leave out what follows the last spiking neurons, for chips that give spikes alone."
        ),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Compare with snnTorch and Norse on the same spikes, and tell what platforms take.")
    ] = False,
    data: Annotated[
        str | None,
        typer.Option(help="What to compare on, as of `edgebll nir run`. [default: the run's data set]", show_default=False),
    ] = None,
    samples: SamplesOption = None,
    rate: RateOption = 0.1,
    seed: SeedOption = 0,
    data_option: DataKeyValues = None,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """Write a trained network of spiking blocks as a NIR graph: weights, time constants, batch norms folded.

    The graph is compared with the network before it is written; its time step is noted in its metadata.
    """
    import_exporter("exporting a NIR graph")
    from edgebll_export.nir.export_graph import export_graph
    from edgebll_export.nir.inputs import InputChoice

    with spelled_as_options(), RunProgress("export") as progress:
        options = parse_options("data", data_option)
        choice = None if data is None else InputChoice(data, samples, None, rate, seed, None, data_dir, options)
        found = export_graph(
            run,
            out,
            block=block,
            quantize=quantize,
            approximate=approximate,
            spikes_only=spikes_only,
            check=check,
            choice=choice,
            progress=progress,
        )
    if json:
        print_json(found.plain())
        return
    _print(found)
    if found.report is not None:
        print_report(found.report)


def _print(found: ExportedGraph) -> None:
    step = "" if found.dt is None else f", time step {found.dt:g} s"
    like = ""
    if found.distance is not None and found.same_class is not None:
        like = f"; off the network by {found.distance:.1e}, the same class for {100 * found.same_class:.1f} %"
    neurons = ", ".join(f"{node.name} ({node.kind})" for node in found.graph.neurons)
    typer.echo(f"{found.path}: {len(found.graph.nodes)} nodes{step}, neurons {neurons}{like} of {found.samples} samples")
    if found.drift:
        cells = [(name, str(a), str(b), f"{100 * (b - a) / max(a, 1):+.1f} %") for name, (a, b) in found.drift.items()]
        columns = ("node", "spikes", "quantised", "drift")
        print_table(columns, cells, title="what rounding changes", right=columns[1:])
