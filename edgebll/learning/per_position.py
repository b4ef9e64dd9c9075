"""Which view of a block's output a local loss has: of sequences with a label for every position, each position is a sample.

A block output (B, T, F, ...) and labels (B, T, C) become B T samples (F, ...) and their labels, so every rule that knows blocks
of features, maps or volumes trains sequences and videos too.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.learning.folded import Folded, folded_shape
from edgebll.learning.reshaped import Reshaped
from edgebll.learning.rule import BlockPlace, Objective, Rule, Tensors


def objective_of(rule: Rule, place: BlockPlace) -> Objective:
    """The rule's objective at a place: for each position of a sequence if labels are (B, T, C), and with axes folded.

    Raises:
        ConfigError: the rule does not fit the place, or the block's output has nothing for each position.
    """
    if rule.whole_sequences:
        return rule.objective(place)
    if not place.positions:
        return _folded(rule, place)
    if len(place.output_shape) < 2 or place.output_shape[0] != place.positions:
        raise ConfigError(
            f"block{place.index} must give features for each of {place.positions} positions, because each has a label, but its "
            f"output has the shape {place.output_shape}"
        )
    shapes = (*place.shapes[:1], *(shape[1:] for shape in place.shapes[1:]))
    return PerPosition(_folded(rule, replace(place, output_shape=place.output_shape[1:], positions=0, shapes=shapes)))


def _folded(rule: Rule, place: BlockPlace) -> Objective:
    shape = folded_shape(place.output_shape)
    inner = rule.objective(replace(place, output_shape=shape))
    return inner if shape == place.output_shape else Folded(inner)


class PerPosition(Reshaped):
    """An objective of one position, applied to every position of a sequence: the loss is the mean over all."""

    def output(self, a: Tensor) -> Tensor:
        """(B, T, ...) to (B T, ...)."""
        return a.flatten(0, 1)

    def labels(self, y: Tensor) -> Tensor:
        """(B, T, C) to (B T, C)."""
        return y.flatten(0, 1)

    def beta(self, feedback: Tensors, y: Tensor) -> Tensor:
        """Targets (B, T, F) for labels y (B, T, C)."""
        return super().beta(feedback, y).reshape(*y.shape[:2], -1)
