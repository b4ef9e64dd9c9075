"""`edgebll nir`: networks for neuromorphic chips."""

from __future__ import annotations

from edgebll.cli.command_group import example, make_group
from edgebll_export.commands.nir_check import check
from edgebll_export.commands.nir_export import export_net
from edgebll_export.commands.nir_import import import_net
from edgebll_export.commands.nir_run import run

_HELP = "Networks for neuromorphic chips: graphs of NIR, the format in which their tools exchange them."
app = make_group("nir", _HELP)


@app.callback()
def root() -> None:
    """Networks for neuromorphic chips: graphs of NIR, the format in which their tools exchange them."""


app.command(epilog=example("edgebll nir run net.nir --dt 1e-4", "edgebll nir run net.nir --data spikes.npy --out traces.npz"))(
    run
)
app.command(epilog=example("edgebll nir check net.nir --dt 1e-4 --data spikes.npy"))(check)
app.command("export", epilog=example("edgebll nir export runs/s -o net.nir --check"))(export_net)
app.command("import", epilog=example("edgebll nir import net.nir --blocks 2 --dt 1e-4 --out bundles/n"))(import_net)
