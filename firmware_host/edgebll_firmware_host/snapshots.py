"""Snapshots of a run: the states of all blocks at one point of the stream, written as one folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from edgebll.files import storage_errors
from edgebll.state import State, save_tensors
from edgebll.wire import State as StateMessage

FOLDER = "snapshots"
#: Whole snapshots kept.
KEPT = 2


class SnapshotWriter:
    """Collects the States of each SNAPSHOT and writes a snapshot once all blocks have sent theirs.

    Args:
        run: the run folder. blocks: names of all blocks.
    """

    def __init__(self, run: Path, blocks: tuple[str, ...]) -> None:
        self._folder = run / FOLDER
        self._blocks = blocks
        self._pending: dict[int, dict[str, State]] = {}

    def take(self, message: StateMessage) -> Path | None:
        """Take a block's state; returns the snapshot's folder when it became whole."""
        states = self._pending.setdefault(message.sequence, {})
        states[message.block] = message.tensors
        if len(states) < len(self._blocks):
            return None
        del self._pending[message.sequence]
        return self._write(message.step, states)

    def _write(self, step: int, states: Mapping[str, State]) -> Path:
        target = self._folder / f"step{step:09d}"
        scratch = target.with_name(f".{target.name}.partial")
        with storage_errors(target):
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
        for block, state in states.items():
            save_tensors(scratch / f"{block}.safetensors", state)
        with storage_errors(target):
            os.replace(scratch, target)
            for old in sorted(p for p in self._folder.iterdir() if p.name.startswith("step"))[:-KEPT]:
                shutil.rmtree(old)
        return target
