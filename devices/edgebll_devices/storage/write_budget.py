"""How much may be written to a disk that wears out: so much a day, of which a part may be saved up."""

from __future__ import annotations

from dataclasses import dataclass, field

_DAY_S = 86400.0
_GIB = float(1 << 30)


@dataclass
class WriteBudget:
    """A token bucket in bytes; full at first.

    Args:
        per_day: bytes that come in evenly over a day; 0 for no limit.
        saved: at most so many bytes are saved up for later.
    """

    per_day: float
    saved: float
    _left: float = field(init=False)
    _at_s: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._left = self.saved

    def take(self, size: int, now_s: float) -> bool:
        """Whether `size` bytes may be written at `now_s`; if so, they are spent.

        Something larger than what can be saved up may be written when all of that is there, and is paid for afterwards.
        """
        if not self.per_day:
            return True
        if self._at_s is not None:
            self._left = min(self.saved, self._left + (now_s - self._at_s) * self.per_day / _DAY_S)
        self._at_s = now_s
        if self._left < min(size, self.saved):
            return False
        self._left -= size
        return True


def disk_budget(gib_per_day: float) -> WriteBudget:
    """So many GiB a day, 0 for no limit; one may be saved up, so that short runs are kept whole."""
    return WriteBudget(gib_per_day * _GIB, _GIB)
