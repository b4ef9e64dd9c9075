"""The `edgebll` command. `main` is its entry point; the parts are imported when a command needs them."""

from __future__ import annotations


def main() -> None:
    """Entry point of `edgebll`."""
    from edgebll.cli.app import run

    run()
