"""What a network takes: shape and dtype of its samples, and where examples of them come from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.manifest import TensorSpec

FLOAT32 = "float32"
#: The input that every block has.
X = "x"
DTYPES = (FLOAT32, "int64", "int32", "uint8", "bool")
#: Where inputs come from if nothing is known of them but that they are float32.
NORMAL = "N(0, 1)"


@dataclass(frozen=True)
class Inputs:
    """Samples of a network.

    Attributes:
        shape: of one sample, without the batch axis.
        dtype: one of DTYPES.
        range: smallest and largest value, both included; samples are drawn from it where there are no examples.
        examples: real samples (N, *shape) of this dtype.
        side: what a sample has besides, by name, in the order in which it is given to a module; see
            `edgebll.kernel.spec.side_inputs`. Examples of all are of the same samples.

    Raises:
        ConfigError: an unknown dtype, a range that is none or that the dtype cannot hold, or examples that do not fit or are
            not finite.
    """

    shape: tuple[int, ...]
    dtype: str = FLOAT32
    range: tuple[float, float] | None = None
    examples: Tensor | None = None
    side: Mapping[str, Inputs] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ConfigError(f"the input dtype must be one of {', '.join(DTYPES)}, not {self.dtype!r}")
        if self.range is not None:
            self._check_range(*self.range)
        if self.examples is not None:
            self._check_examples(self.examples)

    def _check_range(self, low: float, high: float) -> None:
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise ConfigError(f"the input range must be two finite numbers in order, not {low} and {high}")
        held = self._held()
        if held is not None and (low != int(low) or high != int(high) or low < held[0] or high > held[1]):
            raise ConfigError(f"the input range must be whole numbers that {self.dtype} can hold, not {low} and {high}")

    def _check_examples(self, examples: Tensor) -> None:
        dtype, shape = str(examples.dtype).removeprefix("torch."), tuple(examples.shape)
        if len(shape) != len(self.shape) + 1 or shape[1:] != self.shape or not shape[0]:
            wanted = ", ".join(map(str, ("N", *self.shape)))
            raise ConfigError(f"example inputs must be a batch of samples ({wanted}), not of shape {shape}")
        if dtype != self.dtype:
            raise ConfigError(f"example inputs must be {self.dtype} as the network takes them, not {dtype}")
        if not torch.isfinite(examples).all():
            raise ConfigError("example inputs must be finite, but some are NaN or infinite; leave those samples out")

    def _held(self) -> tuple[int, int] | None:
        """Smallest and largest whole number of the dtype; None for float32."""
        if self.dtype == FLOAT32:
            return None
        if self.dtype == "bool":
            return 0, 1
        info = np.iinfo(self.dtype)
        return info.min, info.max

    @property
    def source(self) -> str:
        """Where drawn samples come from, for messages and manifests; empty where nothing says what they are."""
        if self.examples is not None:
            return "the example inputs"
        if self.range is not None:
            return f"the range {self.range[0]:g} to {self.range[1]:g}"
        return {FLOAT32: NORMAL, "bool": "false and true"}.get(self.dtype, "")

    def with_examples(self, examples: Any) -> Inputs:
        """The same inputs with other examples, a tensor or an array (N, *shape); None leaves them as they are.

        Args:
            examples: where there are side inputs a mapping of such, with "x" and a name of each.
        """
        if examples is None:
            return self
        if not isinstance(examples, Mapping):
            return replace(self, examples=as_tensor(examples))
        if examples.keys() != {X, *self.side}:
            raise ConfigError(f"examples must be of {', '.join((X, *self.side))}, not of {', '.join(map(str, examples))}")
        side = {name: inputs.with_examples(examples[name]) for name, inputs in self.side.items()}
        return replace(self, examples=as_tensor(examples[X]), side=side)

    def of_block(self, shape: tuple[int, ...], names: Sequence[str]) -> Inputs:
        """What a later block takes: float32 of a shape, and some of the side inputs."""
        return Inputs(shape, FLOAT32, side={name: self.side[name] for name in names})

    def side_specs(self, size: int) -> tuple[TensorSpec, ...]:
        """Specs of a batch of the side inputs."""
        return tuple(TensorSpec(name, one.dtype, (size, *one.shape)) for name, one in self.side.items())

    def draw_all(self, size: int, generator: np.random.Generator) -> dict[str, Tensor]:
        """A batch of "x" and of all side inputs, see `draw`; examples are of the same samples."""
        own = [self, *self.side.values()]
        if self.side and all(one.examples is not None for one in own):
            count = min(len(one.examples) for one in own if one.examples is not None)
            rows = torch.from_numpy(generator.choice(count, size, replace=count < size))
            drawn = [one.examples[rows] for one in own if one.examples is not None]
        else:
            drawn = [one.draw(size, generator) for one in own]
        return dict(zip((X, *self.side), drawn, strict=True))

    def draw(self, size: int, generator: np.random.Generator) -> Tensor:
        """A batch (size, *shape): of the examples, each at most once if there are enough, else from the range, else N(0, 1).

        Raises:
            ConfigError: whole numbers of which nothing says how large they are.
        """
        shape = (size, *self.shape)
        if self.examples is not None:
            count = len(self.examples)
            return self.examples[torch.from_numpy(generator.choice(count, size, replace=count < size))]
        if not self.source:
            raise ConfigError(
                f"the network takes {self.dtype} inputs, and nothing says which numbers; give example_inputs, a batch of real "
                "samples, or an input_range such as (0, 9)"
            )
        low, high = self.range or (0, 1)
        if self.dtype != FLOAT32:
            return torch.from_numpy(generator.integers(int(low), int(high), shape, endpoint=True).astype(self.dtype))
        if self.range is not None:
            return torch.from_numpy(generator.uniform(low, high, shape).astype(np.float32))
        return torch.from_numpy(generator.standard_normal(shape, dtype=np.float32))

    def first_of_side(self, size: int) -> dict[str, Tensor]:
        """Batches of the side inputs to find shapes with, see `first`."""
        return {name: one.first(size) for name, one in self.side.items()}

    def first(self, size: int) -> Tensor:
        """A batch (size, *shape) to find shapes with: the first examples, else the middle of the range, else zeros."""
        if self.examples is not None:
            return self.examples[torch.arange(size) % len(self.examples)]
        low, high = self.range or (0, 0)
        middle = (low + high) / 2
        return torch.full((size, *self.shape), middle if self.dtype == FLOAT32 else int(middle), dtype=self.torch_dtype)

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype as PyTorch has it."""
        found: torch.dtype = getattr(torch, self.dtype)
        return found


def as_tensor(examples: Any) -> Tensor:
    """Examples as a tensor of their own dtype.

    Raises:
        ConfigError: they are neither a tensor nor an array.
    """
    if isinstance(examples, Tensor):
        return examples.detach().cpu()
    if isinstance(examples, np.ndarray) and examples.dtype != object:
        return torch.from_numpy(np.ascontiguousarray(examples))
    raise ConfigError(f"example inputs must be one tensor or array, a batch of samples, not a {type(examples).__name__}")


def make_inputs(
    shape: tuple[int, ...],
    dtype: str | torch.dtype | None,
    range: tuple[float, float] | None,
    examples: Any,
    side: Mapping[str, tuple[int, ...] | Inputs] | None = None,
) -> Inputs:
    """The inputs that a network is declared to have; a dtype that is left out is the examples', else float32."""
    others = {name: one if isinstance(one, Inputs) else Inputs(tuple(one)) for name, one in (side or {}).items()}
    own = examples[X] if isinstance(examples, Mapping) and X in examples else examples
    given = None if own is None else as_tensor(own)
    if dtype is None:
        dtype = FLOAT32 if given is None else given.dtype
    made = Inputs(tuple(shape), str(dtype).removeprefix("torch."), range, given, others)
    return made.with_examples(examples) if isinstance(examples, Mapping) else made
