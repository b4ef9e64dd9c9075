"""Names on the command line."""

from __future__ import annotations


def as_text(typed: str) -> str:
    """A name as it was typed, also where the locale knows ASCII alone and other letters come as escaped bytes."""
    return typed.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
