"""Options of commands that look at a network for a task that need not be there: the shape of its samples and its classes."""

from __future__ import annotations

from typing import Annotated

import typer

from edgebll.kernel.errors import ConfigError

ShapeOption = Annotated[
    str | None,
    typer.Option(help="Shape of one sample. [default: of the network's example]", metavar="CxHxW", show_default=False),
]
ClassesOption = Annotated[
    int | None, typer.Option(help="Number of classes. [default: of the network's example]", show_default=False)
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
        return _shape(input_shape), classes
    if NETWORK_REGISTRY.find(network).origin is not None:
        raise ConfigError(f"give --input-shape and --classes, e.g. 3x32x32 and 10: {network} is not known from a task")
    shape, known = make_architecture(network, {}).example
    return shape if input_shape is None else _shape(input_shape), known if classes is None else classes


def _shape(text: str) -> tuple[int, ...]:
    sizes = text.lower().split("x")
    if not all(size.isdecimal() and int(size) > 0 for size in sizes):
        raise ConfigError(f"the input shape must be sizes joined by x, e.g. 3x32x32, not {text!r}")
    return tuple(int(size) for size in sizes)
