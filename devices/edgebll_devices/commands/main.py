"""The `edgebll-board` command. `main` is its entry point; the commands are imported by it."""

from __future__ import annotations

from collections.abc import Callable

from edgebll.cli.process_entry import enter


def main() -> None:
    """Entry point of `edgebll-board`."""
    enter("edgebll-board", _load)


def _load() -> Callable[[], object]:
    from edgebll_devices.commands.app import app

    return app
