"""Things of a user's own - networks, rules, optimisers, tasks, data - by the name that stands for them."""

from __future__ import annotations

from edgebll.kernel.own_code.code_origin import CodeOrigin, origin_of_class
from edgebll.kernel.own_code.making import full_options, make
from edgebll.kernel.own_code.recorded_code import check_defined
from edgebll.kernel.own_code.resolver import GROUPS, Resolved, known_names, name_of, reference_of, resolve

__all__ = [
    "GROUPS",
    "CodeOrigin",
    "Resolved",
    "check_defined",
    "full_options",
    "known_names",
    "make",
    "name_of",
    "origin_of_class",
    "reference_of",
    "resolve",
]
