"""What a board that works for a host says to another one: made by boards, recognised by hosts."""

from __future__ import annotations

import re

_SAID = re.compile(r"works for another host, in the run '([^']{1,200})'; wait until that ends, or stop it$")


def busy_with(run: str) -> str:
    """The end of the sentence, for a board that works in this run."""
    return f"works for another host, in the run {run!r}; wait until that ends, or stop it"


def run_of(sentence: str) -> str | None:
    """The run that a board works in which refused with this sentence; None if it refused for another reason."""
    found = _SAID.search(sentence)
    return found[1] if found is not None else None
