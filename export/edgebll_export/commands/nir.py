"""`edgebll nir`: networks for neuromorphic chips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebll.cli.command_group import example, make_group
from edgebll.cli.data_options import DataDirOption, DataKeyValues
from edgebll.cli.output import JsonOption, print_json, print_table, say
from edgebll.kernel.support.bounds import spelled_as_options
from edgebll.kernel.support.option_values import parse_options

app = make_group("nir", "Networks for neuromorphic chips: run graphs of NIR, the format in which their tools exchange them.")

GraphArgument = Annotated[Path, typer.Argument(metavar="NET.nir", help="A NIR graph, as `nir.write` writes it.")]
DtOption = Annotated[
    float | None,
    typer.Option(help="Time step in seconds. [default: what the graph's metadata note]", show_default=False),
]
SpikesOption = Annotated[
    str,
    typer.Option(
        "--data",
        help="What goes in: a file .npy (T, ...) or (B, T, ...), .npz with such an array x and labels y, or .csv with a time "
        "step a line; a data set, of which test samples are taken; or random spikes.",
    ),
]
SamplesOption = Annotated[
    int | None,
    typer.Option(help="At most so many samples. [default: all of a file, 16 of a data set, 1 random]", show_default=False),
]
StepsOption = Annotated[
    int | None,
    typer.Option(
        help="Time steps. [default: all there are; 100 of random spikes and of samples without time]", show_default=False
    ),
]
RateOption = Annotated[float, typer.Option(help="Of random spikes: how many a neuron and time step.")]
SeedOption = Annotated[int, typer.Option(help="Of random spikes.")]
ColumnsOption = Annotated[
    int | None, typer.Option(help="Of a .csv file, its first so many columns. [default: all]", show_default=False)
]


@app.callback()
def root() -> None:
    """Networks for neuromorphic chips: run graphs of NIR, the format in which their tools exchange them."""


@app.command(epilog=example("edgebll nir run net.nir --dt 1e-4", "edgebll nir run net.nir --data spikes.npy --out traces.npz"))
def run(
    net: GraphArgument,
    data: SpikesOption = "random",
    dt: DtOption = None,
    integrator: Annotated[
        str, typer.Option(help="How neurons are integrated: euler (forward Euler) or exact (solved for constant input).")
    ] = "euler",
    samples: SamplesOption = None,
    steps: StepsOption = None,
    rate: RateOption = 0.1,
    seed: SeedOption = 0,
    columns: ColumnsOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A .npz file for all spikes and membranes: NODE.out, NODE.v.")
    ] = None,
    data_option: DataKeyValues = None,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """Run a NIR graph in the reference simulation, spike by spike, from rest."""
    from edgebll_export.nir.inputs import InputChoice
    from edgebll_export.nir.run_graph import run_graph

    with spelled_as_options():
        choice = InputChoice(data, samples, steps, rate, seed, columns, data_dir, parse_options("data", data_option))
        found = run_graph(net, choice, dt=dt, integrator=integrator, out=out)
    if json:
        print_json(found.plain())
        return
    columns_shown = ("node", "kind", "neurons", "spikes", "rate", "first spike at step", "highest v")
    cells = [
        (
            layer.node,
            layer.kind,
            layer.shape,
            *(
                "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
                for value in (layer.spikes, layer.rate, layer.first)
            ),
            f"{layer.highest:.4g}",
        )
        for layer in found.layers
    ]
    batch, length = found.inputs.x.shape[:2]
    step = "" if found.dt is None else f" of {found.dt:g} s, {integrator}"
    title = f"{net}: {batch} sample{'s' * (batch != 1)} of {length} time steps{step}; {found.inputs.source}"
    print_table(columns_shown, cells, title=title, right=columns_shown[3:])
    for source, target in sorted(found.graph.delayed):
        say(f"edgebll: what goes from {source} to {target} arrives one time step later, for it closes a cycle")
    if found.accuracy is not None:
        typer.echo(f"the right class for {100 * found.accuracy:.1f} % of {batch} samples")
