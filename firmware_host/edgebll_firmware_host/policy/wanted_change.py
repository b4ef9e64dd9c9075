"""When a change that is wanted may be made: at a snapshot that was taken since."""

from __future__ import annotations


class WantedChange:
    """A change to a run that goes on: blocks are placed anew once a snapshot of now or later is on the disk."""

    def __init__(self) -> None:
        self._from_step: int | None = None

    def want(self, step: int) -> bool:
        """Want a change after so many training steps fed; whether none was wanted before."""
        if self._from_step is not None:
            return False
        self._from_step = step
        return True

    def due(self, written: int) -> bool:
        """Whether it may be made.

        Args:
            written: training step of the newest snapshot on the disk, -1 for none.
        """
        return self._from_step is not None and written >= self._from_step
