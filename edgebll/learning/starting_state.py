"""The state that a step begins with, made of one that a step of other options left."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from edgebll.learning.step import BlockStep


def starting_state(step: BlockStep, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A given state, as far as a step has it; the rest, such as a loss scale the training had not, from the start.

    What the step's optimiser rounds fits its units.

    Args:
        step: of the block.
        given: tensors by name.
    """
    whole = {**given, **{other: given[name] for other, name in step.aliases.items() if name in given}}
    initial = step.initial_state()
    state = {name: whole.get(name, value) for name, value in initial.items()}
    if not step.trained:
        return state
    trained = {name: state[name] for name in step.trained}
    kept = {name: state[name] for name in step.optimizer.initial_state(trained)}
    new = {**state, **step.optimizer.settled({**kept, **trained}, step.trained)}
    return {**new, **{other: new[name] for other, name in step.aliases.items()}}
