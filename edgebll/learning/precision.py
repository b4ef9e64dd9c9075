"""In which number formats a training step computes.

The state, the block's input and output and the local loss stay float32 (master weights); the block's module runs under
`torch.autocast`, so that matrix products and convolutions, and what they pass on to each other, are in half precision.

In bfloat16, whose range is float32's, it goes as in a plain loop under autocast. Auxiliary networks run in it too; their losses
and all other reductions do not. A weight is cast once a step, however often it is used, and also where the backward pass
computes something anew. A block takes its input in bfloat16 where the block before gave it so, which rounds nothing.

float16's gradients underflow below 6e-8, so the loss is multiplied by a factor that the state holds and the step adapts: where
a gradient overflows, the whole step is skipped and the factor halved; after GROWTH_STEPS good steps in a row it doubles
(Micikevicius et al. 2018, arXiv 1710.03740, section 3.2). All of it is part of the step and so of the exported graph.

In int8 everything is computed in float32, but what a module's gradient is computed from is first rounded to int8 times a power
of two, so that a microcontroller can keep it in a quarter of the memory, see `edgebll.learning.int8.rounding_mode`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from edgebll.kernel.errors import ConfigError
from edgebll.learning.int8.rounding_mode import Int8Activations

FACTOR, GOOD_STEPS = "scale.factor", "scale.good_steps"
INITIAL_FACTOR, MAX_FACTOR = 1024.0, 2.0**24
GROWTH_STEPS = 200
#: Any sum of magnitudes from here on counts as overflow.
_HUGE = 3.0e38

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Precision:
    """A way to compute a step.

    Attributes:
        name: as in PRECISIONS.
        compute: dtype of the module's products, None for float32 throughout.
        scales_loss: whether the state holds a loss scale.
        heads: whether auxiliary networks compute in it too, and weights are cast once a step.
        narrow: whether the block before gives its output in `compute`, see `block_precisions`.
        rounds: whether what gradients are computed from is rounded to int8.
    """

    name: str
    compute: torch.dtype | None = None
    scales_loss: bool = False
    heads: bool = False
    narrow: bool = False
    rounds: bool = False

    def autocast(self, device: torch.device) -> contextlib.AbstractContextManager[object]:
        """What a module runs in on a device."""
        if self.rounds:
            return Int8Activations()
        if self.compute is None:
            return contextlib.nullcontext()
        return torch.autocast(device.type, dtype=self.compute, cache_enabled=self.heads)

    def step(self, device: torch.device) -> contextlib.AbstractContextManager[object]:
        """What a whole step runs in: not half precision itself, but weights that are cast inside stay so until its end."""
        if not self.heads:
            return contextlib.nullcontext()
        return torch.autocast(device.type, dtype=self.compute, enabled=False)

    def taken(self, x: Tensor) -> Tensor:
        """A block's input (B, ...) as its module takes it."""
        return x.to(self.compute) if self.narrow else x

    def head(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """An auxiliary network that computes in this precision and gives float32."""
        if not self.heads:
            return call

        def run(*inputs: Tensor) -> Any:
            with self.autocast(inputs[0].device):
                return tree_map(_wide, call(*inputs))

        return run

    def initial_state(self) -> Tensors:
        """State tensors this precision adds to a block."""
        if not self.scales_loss:
            return {}
        return {FACTOR: torch.tensor(INITIAL_FACTOR), GOOD_STEPS: torch.tensor(0.0)}

    def scaled(self, loss: Tensor, state: Mapping[str, Tensor]) -> Tensor:
        """The loss to differentiate."""
        return loss * state[FACTOR] if self.scales_loss else loss

    def unscaled(self, gradients: Tensors, state: Mapping[str, Tensor]) -> Tensors:
        """Gradients of the loss itself."""
        if not self.scales_loss:
            return gradients
        return {name: value / state[FACTOR] for name, value in gradients.items()}

    def settle(self, old: Mapping[str, Tensor], new: Tensors, gradients: Iterable[Tensor]) -> Tensors:
        """The state after the step: `new`, or all of `old` with a smaller factor if a gradient overflowed."""
        if not self.scales_loss:
            return new
        good = torch.stack([value.abs().sum() for value in gradients]).sum() < _HUGE  # false for NaN too
        kept = {name: torch.where(good, value, old[name]) for name, value in new.items()}
        return {**kept, **_next_scale(good, old[FACTOR], old[GOOD_STEPS])}


def _wide(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value


def _next_scale(good: Tensor, factor: Tensor, steps: Tensor) -> Tensors:
    counted = steps + 1
    full = counted >= GROWTH_STEPS
    grown = torch.where(full, (factor * 2).clamp(max=MAX_FACTOR), factor)
    return {
        FACTOR: torch.where(good, grown, (factor * 0.5).clamp(min=1.0)),
        GOOD_STEPS: torch.where(good & ~full, counted, torch.zeros_like(counted)),
    }


PRECISIONS = {
    "float32": Precision("float32"),
    "mixed": Precision("mixed", torch.float16, scales_loss=True),
    "bfloat16": Precision("bfloat16", torch.bfloat16, heads=True),
    "int8": Precision("int8", rounds=True),
}


def make_precision(name: str) -> Precision:
    """The precision of a name in PRECISIONS; raises ConfigError for any other."""
    if name not in PRECISIONS:
        raise ConfigError(f"the precision must be one of {', '.join(PRECISIONS)}, not {name!r}")
    return PRECISIONS[name]
