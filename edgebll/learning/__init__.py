"""Learning rules, optimisers and the training step. Needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.option_values import convert_options
from edgebll.learning.modules.seeded_dropout import MaskedDropout, SeededDropout
from edgebll.learning.objective import BlockPlace, Objective
from edgebll.learning.optimizers.adam import Adam, AdamW
from edgebll.learning.optimizers.optimizer import Optimizer
from edgebll.learning.optimizers.sgd import SGD
from edgebll.learning.precision import PRECISIONS
from edgebll.learning.rule import Rule, make_steps
from edgebll.learning.rules import (
    BLL,
    DGL,
    RULES,
    AugLocal,
    BackLink,
    Backprop,
    FeedbackAlignment,
    Greedy,
    InfoPro,
    Pred,
    PredSim,
    Sim,
)
from edgebll.learning.side_stream_exchange import SideStreams
from edgebll.learning.step import BlockStep
from edgebll.learning.step_tensors import Stepped

__all__ = [
    "BLL",
    "DGL",
    "OPTIMIZERS",
    "PRECISIONS",
    "RULES",
    "SGD",
    "Adam",
    "AdamW",
    "AugLocal",
    "BackLink",
    "Backprop",
    "BlockPlace",
    "BlockStep",
    "FeedbackAlignment",
    "Greedy",
    "InfoPro",
    "MaskedDropout",
    "Objective",
    "Optimizer",
    "Pred",
    "PredSim",
    "Rule",
    "SeededDropout",
    "SideStreams",
    "Sim",
    "Stepped",
    "is_one_block",
    "make_optimizer",
    "make_rule",
    "make_steps",
]

T = TypeVar("T")
OPTIMIZERS: dict[str, type[Optimizer]] = {optimizer.name: optimizer for optimizer in (SGD, Adam, AdamW)}


def make_rule(name: str, **options: Any) -> Rule:
    """Build a rule by name; a text option is converted to its field's type ("0.5" to 0.5).

    Args:
        name: of the rule, as `edgebll rules` lists them.
        **options: of the rule, by name.

    Raises:
        ConfigError: unknown rule or option, or a value the rule refuses.

    Examples:
        >>> import edgebll
        >>> edgebll.make_rule("bll", match="0.5") == edgebll.BLL(match=0.5)
        True
    """
    return _make("rule", RULES, name, options)


def is_one_block(name: str) -> bool:
    """Whether the rule of this name trains a network as one block; False for unknown names, which `make_rule` refuses."""
    return name in RULES and RULES[name].one_block


def make_optimizer(name: str, **options: Any) -> Optimizer:
    """Build an optimiser by name; a text option is converted to its field's type.

    Args:
        name: "sgd", "adam" or "adamw".
        **options: of the optimiser, by name.

    Raises:
        ConfigError: unknown optimiser or option, or a value the optimiser refuses.

    Examples:
        >>> import edgebll
        >>> edgebll.make_optimizer("adamw", lr=0.01) == edgebll.AdamW(lr=0.01)
        True
    """
    return _make("optimizer", OPTIMIZERS, name, options)


def _make(kind: str, known: Mapping[str, type[T]], name: str, options: Mapping[str, Any]) -> T:
    if name not in known:
        raise ConfigError(f"unknown {kind} {name!r}; known are {', '.join(known)}")
    return known[name](**convert_options(known[name], f"the {kind} {name}", options))
