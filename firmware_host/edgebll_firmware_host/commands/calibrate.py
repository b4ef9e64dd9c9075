"""`edgebll calibrate`: measuring boards and links, for placement and prediction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebll.cli.output import JsonOption, print_json, print_table, say, show_long_work
from edgebll.kernel.errors import StorageError
from edgebll.kernel.support.bounds import Bounds, spelled_as_options

if TYPE_CHECKING:
    from edgebll_firmware_host.policy.calibration import Calibration

_STEPS = Bounds("steps", 2, 100_000)


def calibrate(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Whose training steps are timed.")],
    cluster: Annotated[Path, typer.Option(help="The inventory of boards, cluster.toml.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="The file to write. [default: calibration.toml beside the inventory]", show_default=False
        ),
    ] = None,
    steps: Annotated[int, typer.Option(help="Training steps of each block that count.")] = 20,
    links: Annotated[bool, typer.Option("--links/--no-links", help="Measure the links, too.")] = True,
    conditions: Annotated[str, typer.Option(help="How boards are, in words, kept with the numbers.")] = "",
    json: JsonOption = False,
) -> None:
    """Measure how long each block takes on each board of a cluster, and what the links between them carry.

    Nothing is learned, and boards must be free; each computes alone. What was measured before of other bundles, boards and
    links stays in the file. `edgebll plan`, `run` and `simulate --virtual` use the file that lies beside their inventory.
    """
    from edgebll.kernel.bundle import open_bundle
    from edgebll.kernel.support.toml_files import write_toml
    from edgebll_firmware_host.calibration.calibrate import calibrate as measure
    from edgebll_firmware_host.calibration.calibrate import merged
    from edgebll_firmware_host.inventory import load_cluster
    from edgebll_firmware_host.policy.calibration import CALIBRATION, load_calibration

    with spelled_as_options():
        _STEPS.check("steps", steps)
    inventory, opened = load_cluster(cluster), open_bundle(bundle)
    path = out or cluster.with_name(CALIBRATION)
    old = load_calibration(path) if path.exists() else None  # what cannot be read is no reason to measure first
    show_long_work()
    found = measure(
        inventory, opened, conditions=conditions, timed=steps, links=links, tell=lambda text: say(f"edgebll: {text}")
    )
    try:
        write_toml(path, merged(old, found))
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror}); give another --out") from error
    if json:
        from edgebll.kernel.support.plain_dataclasses import to_plain

        return print_json({"path": str(path), **to_plain(found)})
    _print(found)
    return typer.echo(f"{path} written")


def _tell(text: str) -> None:
    say(f"edgebll: {text}")


def _print(found: Calibration) -> None:
    rows = [(one.board, one.block, f"{1e3 * one.seconds:.3f}", f"{100 * one.spread:.1f}") for one in found.step]
    print_table(("board", "block", "step, ms", "spread, %"), rows, right=("step, ms", "spread, %"))
    overheads = [(one.name, f"{1e3 * one.message_s:.3f}") for one in found.board]
    print_table(("board", "besides, ms a step"), overheads, right=("besides, ms a step",))
    links = [(one.sender, one.receiver, f"{1e3 * one.latency_s:.3f}", f"{one.bytes_per_s / 1e6:.1f}") for one in found.link]
    print_table(("from", "to", "latency, ms", "MB/s"), links, right=("latency, ms", "MB/s"))
