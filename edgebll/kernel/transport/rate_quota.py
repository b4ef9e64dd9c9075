"""So many at once, and so many more a second."""

from __future__ import annotations

import time


class Quota:
    """A bucket of `burst` tokens that fills at `per_second`."""

    def __init__(self, burst: int, per_second: float) -> None:
        self._burst, self._per_second = burst, per_second
        self._left, self._looked = float(burst), time.monotonic()

    def take(self) -> bool:
        """Take one if there is one."""
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._looked) * self._per_second)
        self._looked = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def give_back(self) -> None:
        """Undo a `take`."""
        self._left = min(self._burst, self._left + 1)
