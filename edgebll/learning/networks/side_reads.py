"""Which side inputs each block of a network reads: those that arguments of its forward are called."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from torch import nn

from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.spec.manifest import TensorSpec

_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
#: Names that tensors of a step have already.
_TAKEN = ("x", "y", "a", "metrics", "beta", "lr", "count")


def reads_of(blocks: Sequence[nn.Module], names: Sequence[str]) -> list[tuple[str, ...]]:
    """Names of the side inputs that each block reads, in the order of its arguments.

    Args:
        blocks: in order.
        names: of the network's side inputs.

    Raises:
        ConfigError: a name cannot be one, no block reads it, or a block needs something else.
    """
    for name in names:
        _check_name(name)
    found = [_read(f"block{index}", block, names) for index, block in enumerate(blocks)]
    for name in names:
        if not any(name in own for own in found):
            raise ConfigError(
                f"no block reads the input {name!r}; give the forward of one an argument of that name behind the first, or "
                "leave the input out"
            )
    return found


def _check_name(name: str) -> None:
    try:
        TensorSpec(name, "float32", ())
    except BundleError as error:
        raise ConfigError(f"an input cannot be named {name!r}: {error}") from error
    if not name.isidentifier() or name in _TAKEN:
        raise ConfigError(f"an input cannot be named {name!r}: names are those of arguments, other than {', '.join(_TAKEN)}")


def _read(block: str, module: nn.Module, names: Sequence[str]) -> tuple[str, ...]:
    try:
        arguments = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):  # of code that is none of Python's
        return ()
    behind = [argument for argument in arguments if argument.kind in _BY_PLACE][1:]
    read = [argument.name for argument in behind if argument.name in names]
    needed = [argument.name for argument in behind if argument.default is inspect.Parameter.empty]
    if stray := [name for name in needed if name not in names]:
        raise ConfigError(
            f"{block} takes {stray[0]!r}, which is no input of the network; it has {', '.join(('x', *names))}: name the data's "
            "inputs as the arguments are, or call the argument as the input"
        )
    if read != [argument.name for argument in behind[: len(read)]]:
        raise ConfigError(f"{block} takes {read[-1]!r} behind arguments that are no inputs; put them right after the first")
    return tuple(read)
