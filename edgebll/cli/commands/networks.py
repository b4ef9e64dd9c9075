"""`edgebll networks`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from edgebll.cli.commands.shape_options import ClassesOption, ShapeOption, SideInputsOption, side_inputs_of, task_of
from edgebll.cli.commands.train_options import NetworkKeyValues, SplitOption
from edgebll.cli.output import JsonOption, print_json, print_table
from edgebll.kernel.support.option_values import parse_options
from edgebll.kernel.support.optional_imports import import_torch

if TYPE_CHECKING:
    from edgebll.learning.networks.network_catalogue import NetworkEntry


def networks(
    name: Annotated[
        str | None,
        typer.Argument(help="Only this one; of one of your own, FILE.py:NAME, its cut.", show_default=False),
    ] = None,
    blocks: Annotated[int | None, typer.Option(help="Show how it is cut into so many blocks.", show_default=False)] = None,
    split: SplitOption = "even",
    network_option: NetworkKeyValues = None,
    input_shape: ShapeOption = None,
    classes: ClassesOption = None,
    side_input: SideInputsOption = None,
    json: JsonOption = False,
) -> None:
    """List the networks: inputs, options, layers, parameters, and how many units each block of a split has.

    Sizes are those at the default options for the task the network is known from. With --blocks or --cut, and for networks of
    your own, show the blocks of a cut before anything is trained: parameters and multiply-accumulates of every block, the shape
    of what it gives, and the bytes a sample on the link to the next one.
    """
    import_torch("train", "listing networks")
    from edgebll.learning.networks import NETWORK_REGISTRY, NETWORKS
    from edgebll.learning.networks.network_catalogue import catalogue

    if name is not None and (blocks is not None or split != "even" or name not in NETWORKS):
        _show_blocks(name, blocks, split, network_option, input_shape, classes, side_input, json)
        return
    entries = [entry for entry in catalogue() if name in (None, entry.name)]
    if json:
        print_json([asdict(entry) for entry in entries])
        return
    columns = ("network", "sample", "layers", "units", "parameters", "options", "4 even blocks", "stages")
    print_table(columns, [_row(entry) for entry in entries], right=("layers", "units", "parameters"))
    for entry in entries:
        typer.echo(f"{entry.name}: {entry.summary}")
    for other in NETWORK_REGISTRY.names() if name is None else ():
        if other not in NETWORKS:
            typer.echo(f"{other}: of {NETWORK_REGISTRY.find(other).package}.")


def _show_blocks(
    name: str,
    blocks: int | None,
    split: str,
    network_option: list[str] | None,
    input_shape: str | None,
    classes: int | None,
    side_input: list[str] | None,
    json: bool,
) -> None:
    from edgebll.learning.networks import make_network, usual_blocks
    from edgebll.learning.networks.cut_preview import cut_preview
    from edgebll.learning.networks.unit_network import INTO_BLOCKS

    shape, num_classes = task_of(name, input_shape, classes)
    network = make_network(
        name,
        num_blocks=usual_blocks(name) if blocks is None and split in INTO_BLOCKS else blocks,
        split=split,
        options=parse_options("network", network_option),
        num_classes=num_classes,
        input_shape=shape,
        seed=0,
        side_inputs=side_inputs_of(side_input),
    )
    shown, told = cut_preview(network), network.description["options"].get("split")
    if json:
        print_json({"network": name, "split": told, "blocks": [asdict(block) for block in shown]})
        return
    rows = [
        (p.name, f"{p.first} .. {p.last}", f"{p.parameters:,}", f"{p.macs:,}", _by_x(p.output_shape), f"{p.link_bytes:,}")
        for p in shown
    ]
    columns = ("block", "layers", "parameters", "multiply-adds", "output", "link, B/sample")
    title = f"{name} in {len(shown)} blocks, samples of {_by_x(shape)}, {num_classes} classes"
    title += "" if told is None else f"; the same again: --cut {told}"
    print_table(columns, rows, title=title, right=("parameters", "multiply-adds", "link, B/sample"))


def _by_x(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _row(entry: NetworkEntry) -> tuple[str, ...]:
    return (
        entry.name,
        _by_x(entry.input_shape),
        str(entry.layers),
        str(entry.units),
        f"{entry.parameters:,}",
        " ".join(f"{name}={value}" for name, value in entry.options.items()),
        ",".join(map(str, entry.even.get(4, ()))),
        ",".join(map(str, entry.stages)) or "-",
    )
