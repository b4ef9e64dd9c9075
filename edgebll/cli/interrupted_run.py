"""What a command says of its run when it is interrupted: how to go on with it."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from edgebll.cli.output import say
from edgebll.kernel.errors import EdgebllError
from edgebll.kernel.runs.run_folder import read_config
from edgebll.kernel.runs.run_lock import CHECKPOINT, SNAPSHOTS, SUMMARY

#: "kind" of run.json -> the command that goes on with such a run.
_COMMANDS = {"train": "train --resume --out", "simulate": "simulate --resume", "run": "run --resume"}


@contextlib.contextmanager
def hint_on_interrupt(run: Path) -> Iterator[None]:
    """On Ctrl-C, SIGTERM or SIGHUP say how the run goes on, where there is one that is not whole.

    Args:
        run: the run folder, which need not be there.
    """
    try:
        yield
    except KeyboardInterrupt:
        with contextlib.suppress(EdgebllError):
            if hint := _hint(run):
                say(f"edgebll: {hint}")
        raise


def _hint(run: Path) -> str:
    """How to go on with a run, and from where; empty for what is whole or no run."""
    command = _COMMANDS.get(str(read_config(run).get("kind")))
    if command is None or (run / SUMMARY).exists():
        return ""
    line = f"`edgebll {command} {shlex.quote(str(run))}`"
    if any((run / saved).is_dir() and any((run / saved).iterdir()) for saved in (CHECKPOINT, SNAPSHOTS)):
        return f"the run is not whole; go on with {line}"
    return f"the run is not whole, and nothing of its training is saved yet; begin it again with {line}"
