"""What a forward pass and a training step give, and the specs of their tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.manifest import TensorSpec

_DTYPES = {
    torch.float32: "float32",
    torch.int64: "int64",
    torch.int32: "int32",
    torch.bool: "bool",
    torch.uint8: "uint8",
}


class Stepped(NamedTuple):
    """What one training step gives.

    Attributes:
        state: the new state.
        a: the block's output, before the update and detached.
        metrics: vector, as in the signature.
        sent: what goes to other blocks besides a, by the sender's name.
    """

    state: dict[str, Tensor]
    a: Tensor
    metrics: Tensor
    sent: dict[str, Tensor]


@dataclass(frozen=True)
class ForwardPass:
    """What running a block in training gives; see `BlockStep._run`.

    Attributes:
        a: the block's output (B, ...) in float32, with its gradient behind it.
        taught: tensors that gradients of the loss are wanted of besides the block's own, by the name `_send` has for them.
        kept: further tensors for `_send`, by name.
        judged: what the objective's loss sees in the place of a; None for a itself.
    """

    a: Tensor
    taught: Mapping[str, Tensor] = field(default_factory=dict)
    kept: Mapping[str, Tensor] = field(default_factory=dict)
    judged: Any = None

    @property
    def seen(self) -> Any:
        """What the objective's loss sees."""
        return self.a if self.judged is None else self.judged


def zeros(specs: Iterable[TensorSpec]) -> dict[str, Tensor]:
    """A tensor of zeros for each spec, by name."""
    return {spec.name: torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in specs}


def scalar_tensors(values: Mapping[str, float]) -> dict[str, Tensor]:
    """The scalars of a step as 0-d tensors, of float32 whatever PyTorch's default is."""
    return {name: torch.tensor(value, dtype=torch.float32) for name, value in values.items()}


def tensor_spec(name: str, value: Tensor) -> TensorSpec:
    """Spec of a torch tensor.

    Raises:
        ConfigError: a dtype that bundles do not have.
    """
    if value.dtype not in _DTYPES:
        raise ConfigError(f"tensor {name!r} has dtype {value.dtype}; blocks may hold {', '.join(_DTYPES.values())}")
    return TensorSpec(name, _DTYPES[value.dtype], tuple(value.shape))


def named_gradients(block: str, names: Iterable[str], gradients: Iterable[Tensor | None]) -> dict[str, Tensor]:
    """Gradients by the names of their tensors.

    Raises:
        ConfigError: there is none for one of them.
    """
    found = {}
    for name, gradient in zip(names, gradients, strict=True):
        if gradient is None:
            raise ConfigError(f"{block}: the loss does not depend on the parameter {name!r}; remove or freeze it")
        found[name] = gradient
    return found
