"""The `edgebll` command. `main` is its entry point; the parts are imported when a command needs them."""

from __future__ import annotations

from collections.abc import Callable


def main() -> None:
    """Entry point of `edgebll`."""
    from edgebll.cli.process_entry import enter

    enter("edgebll", _load)


def _load() -> Callable[[], object]:
    from edgebll.cli.app import app

    return app
