"""Learning rules, optimisers and the training step. Needs torch."""

from __future__ import annotations

from typing import Any

from edgebll.kernel.own_code.registry import Registry
from edgebll.kernel.spec.fine_tuning import FineTuning
from edgebll.learning.finetuning.tuned_network import fine_tuned
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
    MAN,
    RULES,
    AugLocal,
    BackLink,
    Backprop,
    Decolle,
    EProp,
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
    "MAN",
    "OPTIMIZERS",
    "OPTIMIZER_REGISTRY",
    "PRECISIONS",
    "RULES",
    "RULE_REGISTRY",
    "SGD",
    "Adam",
    "AdamW",
    "AugLocal",
    "BackLink",
    "Backprop",
    "BlockPlace",
    "BlockStep",
    "Decolle",
    "EProp",
    "FeedbackAlignment",
    "FineTuning",
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
    "fine_tuned",
    "is_one_block",
    "make_optimizer",
    "make_rule",
    "make_steps",
]

OPTIMIZERS: dict[str, type[Optimizer]] = {optimizer.name: optimizer for optimizer in (SGD, Adam, AdamW)}
RULE_REGISTRY = Registry("rule", RULES, Rule)
#: A bundle has an optimiser's options beside its name and where its code is.
_BESIDE = frozenset({"name", "code"})
OPTIMIZER_REGISTRY: Registry[Optimizer] = Registry("optimizer", OPTIMIZERS, Optimizer, _BESIDE)  # type: ignore[type-abstract]


def make_rule(name: str, **options: Any) -> Rule:
    """Build a rule by name; a text option is converted to its field's type ("0.5" to 0.5).

    Args:
        name: of the rule, as `edgebll rules` lists them, or FILE.py:NAME or MODULE:NAME of one of your own.
        **options: of the rule, by name.

    Raises:
        ConfigError: unknown rule or option, a value the rule refuses, or code that cannot be imported.

    Examples:
        >>> import edgebll
        >>> edgebll.make_rule("bll", match="0.5") == edgebll.BLL(match=0.5)
        True
    """
    return RULE_REGISTRY.make(name, options)


def is_one_block(name: str) -> bool:
    """Whether the rule of this name trains a network as one block; False for unknown names, which `make_rule` refuses."""
    if name in RULES or ":" not in name:
        return name in RULES and RULES[name].one_block
    return bool(getattr(RULE_REGISTRY.find(name).value, "one_block", False))


def make_optimizer(name: str, **options: Any) -> Optimizer:
    """Build an optimiser by name; a text option is converted to its field's type.

    Args:
        name: "sgd", "adam" or "adamw", or FILE.py:NAME or MODULE:NAME of one of your own.
        **options: of the optimiser, by name.

    Raises:
        ConfigError: unknown optimiser or option, a value the optimiser refuses, or code that cannot be imported.

    Examples:
        >>> import edgebll
        >>> edgebll.make_optimizer("adamw", lr=0.01) == edgebll.AdamW(lr=0.01)
        True
    """
    return OPTIMIZER_REGISTRY.make(name, options)
