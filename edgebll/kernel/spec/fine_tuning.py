"""Which parts of a network are trained, as a run is told and a bundle remembers: no torch, for boards and hosts read it too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.support.bounds import COUNT
from edgebll.kernel.support.plain_dataclasses import PlainError, from_plain

#: What trains besides what is frozen by name: all of the network, or its last layer alone.
ALL, HEAD = "all", "head"
#: Adapters that layers may have.
NO_ADAPTER, LORA = "none", "lora"
#: Entry of a manifest's recipe, see `tuning_in`.
FINE_TUNING = "fine_tuning"


@dataclass(frozen=True)
class FineTuning:
    """What of a network is trained; by default all of it.

    A pattern is the name of a parameter or module, with `*`, `?` and `[...]` as in file names; a module stands for all in it.
    Names are those of the block, `0.weight`, with or without `block0.` before them.

    Attributes:
        freeze: patterns of what is not trained.
        trainable: "all", or "head" for the last layer with parameters alone.
        lr_for: pattern -> factor of the learning rate of what it means, above 0; of several that mean one, the last counts.
        decay_for: pattern -> weight decay of what it means, 0 or more, in place of the optimiser's.
        adapter: "none", or "lora": all weights are frozen, but for those of the head where it is trained, and linear layers and
            convolutions have a low-rank correction that is trained, see `edgebll.learning.adapters.low_rank`.
        rank: of the corrections, at least 1.
        alpha: they are multiplied by alpha / rank; None for the rank, so that they count as they are.
        adapt: patterns of the layers that have one; all that can, and are not frozen by name, if there are none.

    Raises:
        ConfigError: a value is out of range.

    Examples:
        >>> from edgebll.kernel.spec.fine_tuning import FineTuning
        >>> bool(FineTuning()), bool(FineTuning(freeze=("block0.*",)))
        (False, True)
    """

    freeze: tuple[str, ...] = ()
    trainable: str = ALL
    lr_for: dict[str, float] = field(default_factory=dict)
    decay_for: dict[str, float] = field(default_factory=dict)
    adapter: str = NO_ADAPTER
    rank: int = 4
    alpha: float | None = None
    adapt: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.trainable not in (ALL, HEAD):
            raise ConfigError(f"what is trained must be {ALL} or {HEAD}, not {self.trainable!r}")
        if not all((*self.freeze, *self.adapt)):
            raise ConfigError("a pattern must have at least one character, e.g. block0.*")
        self._check_numbers()
        self._check_adapter()

    def _check_numbers(self) -> None:
        for pattern, factor in self.lr_for.items():
            if not (math.isfinite(factor) and factor > 0):
                raise ConfigError(
                    f"the factor of {pattern!r} must be a number above 0, not {factor}; to keep it as it is freeze it"
                )
        for pattern, decay in self.decay_for.items():
            if not (math.isfinite(decay) and decay >= 0):
                raise ConfigError(f"the weight decay of {pattern!r} must be a number of 0 or more, not {decay}")

    def _check_adapter(self) -> None:
        if self.adapter not in (NO_ADAPTER, LORA):
            raise ConfigError(f"the adapter must be {NO_ADAPTER} or {LORA}, not {self.adapter!r}")
        COUNT.check("the rank of an adapter", self.rank)
        if self.alpha is not None and not (math.isfinite(self.alpha) and self.alpha > 0):
            raise ConfigError(f"the alpha of an adapter must be a number above 0, not {self.alpha}")
        if self.adapter == NO_ADAPTER and (self.adapt or self.alpha is not None or self.rank != FineTuning.rank):
            raise ConfigError(f"rank, alpha and adapt are an adapter's; give the adapter {LORA} too, or leave them out")

    @property
    def scale(self) -> float:
        """What corrections are multiplied by: alpha / rank."""
        return 1.0 if self.alpha is None else self.alpha / self.rank

    def __bool__(self) -> bool:
        """Whether anything is other than by default."""
        return self != FineTuning()


def tuning_in(recipe: Mapping[str, Any], where: str) -> FineTuning:
    """The tuning in a manifest's recipe; that of older bundles trains all.

    Args:
        recipe: of the manifest.
        where: the bundle, for messages.

    Raises:
        BundleError: it is none.
    """
    try:
        return from_plain(FineTuning, recipe.get(FINE_TUNING, {}), f"{where}: recipe.{FINE_TUNING}")
    except (PlainError, ConfigError) as error:
        raise BundleError(f"{error}; export the bundle again") from error
