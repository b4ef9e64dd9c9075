"""Options of commands that look at a network for a task that need not be there: the shape of its samples and its classes."""

from __future__ import annotations

from typing import Annotated

import typer

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.kernel.support.option_values import parse_options

ShapeOption = Annotated[
    str | None,
    typer.Option(help="Shape of one sample. [default: of the network's example]", metavar="CxHxW", show_default=False),
]
ClassesOption = Annotated[
    int | None, typer.Option(help="Number of classes. [default: of the network's example]", show_default=False)
]

SideInputsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--side-input",
        metavar="NAME=SHAPE",
        help="What a sample has besides, in float32, e.g. readings=6; repeatable.",
        show_default=False,
    ),
]


def side_inputs_of(given: list[str] | None) -> list[TensorSpec]:
    """What a sample has besides x, as it was typed: names and shapes.

    Args:
        given: NAME=SHAPE each.

    Raises:
        ConfigError: one is none.
    """
    return [
        TensorSpec(name, "float32", _shape(str(shape), "a side input's"))
        for name, shape in parse_options("side input", given).items()
    ]


def task_of(network: str, input_shape: str | None, classes: int | None) -> tuple[tuple[int, ...], int]:
    """Shape of one sample and number of classes: those given, else those of the task that a network is known from.

    Args:
        network: its name.
        input_shape: as it was typed.
        classes: as they were typed.

    Raises:
        ConfigError: the shape is none, or it is a user's own network, which is not known from a task.
    """
    from edgebll.learning.networks import NETWORK_REGISTRY, make_architecture

    if input_shape is not None and classes is not None:
        return _shape(input_shape, "the input"), classes
    if NETWORK_REGISTRY.find(network).origin is not None:
        raise ConfigError(f"give --input-shape and --classes, e.g. 3x32x32 and 10: {network} is not known from a task")
    shape, known = make_architecture(network, {}).example
    return shape if input_shape is None else _shape(input_shape, "the input"), known if classes is None else classes


def _shape(text: str, whose: str) -> tuple[int, ...]:
    sizes = text.lower().split("x")
    if not all(size.isdecimal() and int(size) > 0 for size in sizes):
        raise ConfigError(f"{whose} shape must be sizes joined by x, e.g. 3x32x32, not {text!r}")
    return tuple(int(size) for size in sizes)
