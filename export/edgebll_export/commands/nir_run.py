"""`edgebll nir run`: a graph in the reference simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebll.cli.data_options import DataDirOption, DataKeyValues
from edgebll.cli.output import JsonOption, print_json, print_table, say
from edgebll.kernel.support.bounds import spelled_as_options
from edgebll.kernel.support.option_values import parse_options
from edgebll_export.commands.nir_options import (
    ColumnsOption,
    DtOption,
    GraphArgument,
    RateOption,
    SamplesOption,
    SeedOption,
    SpikesOption,
    StepsOption,
)


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
