"""`edgebll rules`."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from edgebll.cli.commands.shape_options import ClassesOption, ShapeOption, task_of
from edgebll.cli.output import JsonOption, print_json
from edgebll.kernel.support.optional_imports import import_torch

if TYPE_CHECKING:
    from edgebll.learning.networks import BlockNetwork
    from edgebll.learning.rule_catalogue import RuleEdge, RuleEntry


def rules(
    name: Annotated[str | None, typer.Argument(help="Only this rule.", show_default=False)] = None,
    network: Annotated[str, typer.Option(help="Network whose streams are told.")] = "resnet8",
    blocks: Annotated[int, typer.Option(help="Blocks it is cut into, for rules that train more than one.")] = 4,
    input_shape: ShapeOption = None,
    classes: ClassesOption = None,
    json: JsonOption = False,
) -> None:
    """List the learning rules: the loss of a block, the options, the streams between blocks and their bytes a sample.

    In an equation a is the block's output and y the one-hot labels; the last block of every rule minimises CE(a, y).
    """
    import_torch("train", "listing rules")
    from edgebll.learning.networks import make_network
    from edgebll.learning.rule_catalogue import catalogue

    shape, num_classes = task_of(network, input_shape, classes)

    def build(count: int) -> BlockNetwork:
        return make_network(network, num_blocks=count, num_classes=num_classes, input_shape=shape, seed=0)

    entries = catalogue(build, blocks, None if name is None else (name,))
    if json:
        print_json([asdict(entry) for entry in entries])
        return
    typer.echo(
        f"Streams with bytes per sample: {network}, samples of {'x'.join(map(str, shape))}, {num_classes} classes, float32.\n"
    )
    first = {entry.streams: entry.name for entry in reversed(entries)}
    typer.echo("\n\n".join(_text(entry, first[entry.streams]) for entry in entries))


def _text(entry: RuleEntry, same: str) -> str:
    """An entry for people; `same` is the first rule with these streams."""
    options = ", ".join(f"{name}={_value(value)}" for name, value in entry.options.items())
    lines = [f"{entry.name}: {entry.summary}", f"  {entry.equation}"]
    lines += textwrap.wrap(f"options: {options}", 110, initial_indent="  ", subsequent_indent="    ")
    if entry.refusal:
        return "\n".join([*lines, f"  not here: {entry.refusal}"])
    if same != entry.name:
        return "\n".join([*lines, f"  streams: those of {same}"])
    lines.append(f"  streams: at most {entry.forward:,.0f} forward and {entry.backward:,.0f} backward into a block")
    return "\n".join([*lines, *map(_stream, entry.streams)])


def _stream(stream: RuleEdge) -> str:
    lag = f", {stream.lag} steps late" if stream.lag else ""
    ends = f"{stream.source} -> {stream.target}"
    return f"    {ends:<18} {', '.join(stream.tensors):<6} {stream.bytes_per_sample:>10,.0f}{lag}"


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
