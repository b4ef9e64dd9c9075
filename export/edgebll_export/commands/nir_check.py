"""`edgebll nir check`: how far a graph means the same elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from edgebll_export.nir.fidelity.compare import FidelityReport, SimulatorComparison

_STYLES = {"exact": "green", "unsupported": "red"}


def check(
    net: GraphArgument,
    data: SpikesOption = "random",
    dt: DtOption = None,
    samples: SamplesOption = None,
    steps: StepsOption = None,
    rate: RateOption = 0.1,
    seed: SeedOption = 0,
    columns: ColumnsOption = None,
    data_option: DataKeyValues = None,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """Compare what a graph does in the reference, in snnTorch and in Norse on the same spikes, and tell what platforms take.

    A simulator that is not installed is passed over with the reason.
    """
    from edgebll_export.nir.fidelity.compare import check_graph
    from edgebll_export.nir.inputs import InputChoice

    with spelled_as_options():
        choice = InputChoice(data, samples, steps, rate, seed, columns, data_dir, parse_options("data", data_option))
        report = check_graph(net, choice, dt=dt)
    if json:
        print_json(report.plain())
    else:
        print_report(report)


def print_report(report: FidelityReport) -> None:
    """Print a fidelity report as tables.

    Args:
        report: it.
    """
    for simulator in report.simulators:
        if simulator.missing:
            say(f"edgebll: {simulator.name} is passed over: {simulator.missing}")
        else:
            _print_simulator(simulator, report.run.accuracy)
    columns = ("platform", "through", "", "why")
    cells = [(one.platform, one.through, one.level, one.reasons) for one in report.platforms]
    print_table(columns, cells, title=f"{report.run.graph.place} on platforms", styles=_STYLES)


def _print_simulator(simulator: SimulatorComparison, accuracy: float | None) -> None:
    columns = ("node", "spikes", "theirs", "rate", "theirs", "first divergence", "membranes until then", "why")
    cells = [
        (
            layer.node,
            str(layer.spikes),
            str(layer.theirs),
            f"{layer.rate:.4g}",
            f"{layer.their_rate:.4g}",
            "none" if layer.first is None else f"step {layer.first}",
            f"{layer.error:.1e}",
            layer.why,
        )
        for layer in simulator.layers
    ]
    right = {} if accuracy is None or simulator.accuracy is None else {"reference": accuracy, "its own": simulator.accuracy}
    told = "".join(f", {name} accuracy {100 * value:.1f} %" for name, value in right.items())
    title = f"the reference and {simulator.name} {simulator.version} on the same spikes{told}"
    print_table(columns, cells, title=title, right=columns[1:7])
