"""When to look for boards that are away: less and less often, the more often they went away."""

from __future__ import annotations

from collections.abc import Sequence

#: First and longest time between two looks for a board that is away; doubled each time it fails.
LOOK_S, LONGEST_S = 2.0, 60.0


class LookSchedule:
    """Times are seconds of one clock."""

    def __init__(self) -> None:
        self._next_s: dict[str, float] = {}
        self._pause_s: dict[str, float] = {}

    def failed(self, name: str, now_s: float) -> None:
        """A board went away, again perhaps: look for it less and less often."""
        pause_s = min(LONGEST_S, 2 * self._pause_s.get(name, LOOK_S / 2))
        self._pause_s[name], self._next_s[name] = pause_s, now_s + pause_s

    def left(self, name: str, now_s: float) -> None:
        """A board has ended in order: it may be back soon."""
        self._pause_s[name], self._next_s[name] = LOOK_S, now_s + LOOK_S

    def due(self, away: Sequence[str], now_s: float) -> str | None:
        """The board to look for now, of those that are away; None for none."""
        due = [name for name in away if now_s >= self._next_s.setdefault(name, now_s + LOOK_S)]
        return due[0] if due else None

    def looked(self, name: str, now_s: float) -> None:
        """A look for a board begins: the next one is a pause later."""
        self._next_s[name] = now_s + self._pause_s.get(name, LOOK_S)

    def first_look_after(self, name: str, now_s: float, there_s: float) -> float:
        """When the board is looked for first from `there_s` on, if nothing else happens from `now_s` on."""
        next_s = self._next_s.setdefault(name, now_s + LOOK_S)
        while next_s < there_s:
            self.looked(name, next_s)
            next_s = self._next_s[name]
        return max(next_s, now_s)
