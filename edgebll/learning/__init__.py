"""Learning rules, optimisers and the training step. Needs torch."""

from __future__ import annotations

from typing import Any

from edgebll.errors import ConfigError
from edgebll.learning.adam import Adam, AdamW
from edgebll.learning.backprop import Backprop
from edgebll.learning.bll import BLL
from edgebll.learning.greedy import Greedy
from edgebll.learning.optimizer import Optimizer
from edgebll.learning.options import convert_options
from edgebll.learning.precision import PRECISIONS
from edgebll.learning.rule import BlockPlace, Objective, Rule
from edgebll.learning.sgd import SGD
from edgebll.learning.step import BlockStep, make_steps

__all__ = [
    "BLL",
    "OPTIMIZERS",
    "PRECISIONS",
    "RULES",
    "SGD",
    "Adam",
    "AdamW",
    "Backprop",
    "BlockPlace",
    "BlockStep",
    "Greedy",
    "Objective",
    "Optimizer",
    "Rule",
    "make_optimizer",
    "make_rule",
    "make_steps",
]

RULES: dict[str, type[Rule]] = {rule.name: rule for rule in (BLL, Greedy, Backprop)}
OPTIMIZERS: dict[str, type[Optimizer]] = {optimizer.name: optimizer for optimizer in (SGD, Adam, AdamW)}


def make_rule(name: str, **options: Any) -> Rule:
    """Build a rule by name; a text option is converted to its field's type ("0.5" to 0.5).

    Raises:
        ConfigError: unknown rule or option, or a value the rule refuses.
    """
    if name not in RULES:
        raise ConfigError(f"unknown rule {name!r}; known are {', '.join(RULES)}")
    return RULES[name](**convert_options(RULES[name], f"the rule {name}", options))


def make_optimizer(name: str, **options: Any) -> Optimizer:
    """Build an optimiser by name; a text option is converted to its field's type.

    Raises:
        ConfigError: unknown optimiser or option, or a value the optimiser refuses.
    """
    if name not in OPTIMIZERS:
        raise ConfigError(f"unknown optimizer {name!r}; known are {', '.join(OPTIMIZERS)}")
    return OPTIMIZERS[name](**convert_options(OPTIMIZERS[name], f"the optimizer {name}", options))
