"""The learning rules, one file each, and their names."""

from __future__ import annotations

from edgebll.learning.rule import Rule
from edgebll.learning.rules.backprop import Backprop
from edgebll.learning.rules.bll import BLL
from edgebll.learning.rules.greedy import Greedy

__all__ = ["BLL", "RULES", "Backprop", "Greedy"]

RULES: dict[str, type[Rule]] = {rule.name: rule for rule in (BLL, Greedy, Backprop)}
