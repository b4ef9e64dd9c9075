"""An optimiser whose learning rate and weight decay differ by parameter, as PyTorch's parameter groups do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from torch import Tensor

from edgebll.learning.optimizers.optimizer import Optimizer, Tensors


@dataclass(frozen=True)
class ParameterGroups(Optimizer):
    """The optimiser `base` on groups of parameters, each with a learning rate and a weight decay of its own.

    The norm of gradients is clipped over all groups together, as they are accumulated, and moments are those of `base`.

    Attributes:
        lr: of `base`.
        base: what each group descends by.
        rates: name of a parameter -> factor of the learning rate of every step; 1 where it is missing.
        decays: name of a parameter -> its weight decay; that of `base` where it is missing.
    """

    base: Optimizer = field(kw_only=True)
    rates: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    decays: Mapping[str, float] = field(default_factory=dict, kw_only=True)

    name: ClassVar[str] = "groups"

    @classmethod
    def of(cls, base: Optimizer, rates: Mapping[str, float], decays: Mapping[str, float]) -> Optimizer:
        """Groups of an optimiser; itself where no parameter differs."""
        if not rates and not decays:
            return base
        kept: dict[str, Any] = {name: getattr(base, name) for name in ("clip_norm", "accumulate", "state_bits")}
        return cls(base.lr, **kept, base=base, rates=rates, decays=decays)

    def options(self) -> dict[str, Any]:
        """Those of `base`."""
        return self.base.options()

    def initial_moments(self, parameters: Tensors) -> dict[str, Tensor]:
        """Those of `base`."""
        return self.base.initial_moments(parameters)

    def descend(self, parameters: Tensors, gradients: Tensors, moments: Tensors, lr: Tensor) -> dict[str, Tensor]:
        """One step of each group; what an optimiser keeps for all parameters together moves alike in each of them."""
        result: dict[str, Tensor] = {}
        for (rate, decay), names in self._groups(parameters).items():
            optimizer: Any = self.base if decay is None else replace(self.base, weight_decay=decay)  # type: ignore[call-arg]
            result |= optimizer.descend({name: parameters[name] for name in names}, gradients, moments, lr * rate)
        return result

    def _groups(self, parameters: Tensors) -> dict[tuple[float, float | None], list[str]]:
        groups: dict[tuple[float, float | None], list[str]] = {}
        for name in parameters:
            groups.setdefault((self.rates.get(name, 1.0), self.decays.get(name)), []).append(name)
        return groups
