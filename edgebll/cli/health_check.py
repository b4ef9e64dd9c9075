"""The result of a check, and how a check that breaks is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

OK, NOTE, PROBLEM = "ok", "note", "problem"


@dataclass(frozen=True)
class Check:
    """Result of one check.

    Attributes:
        topic: what was looked at.
        status: OK, NOTE (something optional is missing) or PROBLEM.
        found: how things are.
        advice: what to do, empty if nothing.
    """

    topic: str
    status: str
    found: str
    advice: str = ""


def guarded(topic: str, check: Callable[[], Check]) -> Check:
    """A check that must not end the others, whatever it meets."""
    try:
        return check()
    except Exception as error:  # a broken installation may raise anything at all
        return Check(
            topic, PROBLEM, f"{type(error).__name__}: {error}", "reinstall edgebll: pip install --force-reinstall edgebll"
        )
