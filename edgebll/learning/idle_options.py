"""Options of a rule that were given and do nothing, because a network in one block has no block that would read them."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import Any

from edgebll.learning.rule import Rule

_EVERYWHERE = "label_smoothing"


def idle_options(rule: Rule, num_blocks: int) -> str:
    """A sentence on options that are other than their defaults, and that no block reads; empty where there are none.

    Args:
        rule: with its options.
        num_blocks: of the network.
    """
    if num_blocks != 1 or not rule.inner_only:
        return ""
    idle = [one.name for one in fields(rule) if one.name != _EVERYWHERE and getattr(rule, one.name) != _default(one)]
    if not idle:
        return ""
    return (
        f"the network is one block, and learns from the task's loss alone: nothing reads {', '.join(idle)} of {rule.name}; "
        "cut it into more with --blocks"
    )


def _default(one: Field[Any]) -> object:
    return one.default if one.default_factory is MISSING else one.default_factory()
