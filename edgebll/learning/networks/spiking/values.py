"""Values of neurons, numbers or tensors, and what they must be."""

from __future__ import annotations

import math

from torch import Tensor

from edgebll.kernel.errors import ConfigError


def driven(current: Tensor, r: float | Tensor, v_leak: float | Tensor) -> Tensor:
    """v_leak + r i, without what changes nothing.

    Args:
        current: i (B, ...).
        r: resistance.
        v_leak: the potential at rest.
    """
    drive = current if _is(r, 1.0) else r * current
    return drive if _is(v_leak, 0.0) else v_leak + drive


def _is(value: float | Tensor, number: float) -> bool:
    return not isinstance(value, Tensor) and value == number


def is_time(name: str) -> bool:
    """Whether a value is a time constant, by its name."""
    return name.startswith("tau")


def finite(name: str, value: float) -> float:
    """A number as it is.

    Raises:
        ConfigError: it is none, or infinite.
    """
    if not math.isfinite(value):
        raise ConfigError(f"a neuron's {name} must be a finite number, not {value}")
    return value


def positive(name: str, value: float) -> float:
    """A number of seconds as it is.

    Raises:
        ConfigError: it is not above 0.
    """
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(f"a neuron's {name} must be a number of seconds above 0, not {value}")
    return value
