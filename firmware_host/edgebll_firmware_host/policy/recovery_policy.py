"""What is decided and kept about failures: whether a run goes on after one, and how long it took to make up for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgebll.kernel.errors import EdgebllError
from edgebll.kernel.support.awake_clock import ALLOWANCE_S, absent_s

#: How long a new incarnation waits for boards that do not answer, once another one has.
GRACE_S = 1.0
#: Where boards report the very same failure so often without any progress in between, they will do so for ever.
_SAME = 3


class Patience:
    """Decides whether a run recovers from a failure; times are seconds of one clock.

    Failures are borne, any number of them, so long as there is some progress now and then: a training step or an evaluation
    that was never done before.

    Args:
        patience_s: how long to go on without any; 0 bears nothing.
        now_s: time of the start.
    """

    def __init__(self, patience_s: float, now_s: float) -> None:
        self._patience_s, self._progressed_s = patience_s, now_s
        self._news = 0
        self._last, self._same = "", 0

    def progress(self, news: int, now_s: float) -> bool:
        """Take the number of things done so far; whether it has grown."""
        if news == self._news:
            return False
        self._news, self._progressed_s, self._same = news, now_s, 0
        return True

    def left_s(self, now_s: float) -> float:
        """How long to go on yet without any progress; negative if no longer."""
        return self._progressed_s + self._patience_s - now_s

    def bears(self, error: EdgebllError, now_s: float, *, reported: bool = False) -> bool:
        """Whether to recover from this failure, which a board itself may have `reported`, whichever board."""
        reason = str(error).split(": ", 1)[-1]
        self._same = (self._same + 1 if reason == self._last else 1) if reported else 0
        self._last = reason
        return self._same < _SAME and self.left_s(now_s) > 0


class Absence:
    """Tells where this process was stopped, or its machine asleep: boards have seen a silent host meanwhile.

    Args:
        say: takes a sentence for the user.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._told_s = say, absent_s()

    def tell(self) -> None:
        """Say what was not said yet."""
        before_s, now_s = self._told_s, absent_s()
        if now_s - before_s > ALLOWANCE_S:
            self._told_s = now_s
            self._say(
                f"this host could do nothing for {now_s - before_s:.0f} s (it was stopped, or its machine asleep); "
                "that uses up no patience"
            )


@dataclass
class Recovery:
    """One failure and what it cost; times are seconds of the host's clock.

    Attributes:
        reason: what failed, in words: an error would hold on to all that was alive when it was raised.
        board: which board was to blame, if that is known.
        failed_s: when it was noticed.
        step: training step the run went on from.
        restore_s: until all blocks were ready again.
        shipped_bytes: of the files sent to boards for it.
        replay_s: from then on until something was done that had not been done before. Where this recovery failed in turn,
            `step`, `restore_s` and `replay_s` stay None.
    """

    reason: str
    board: str | None
    failed_s: float
    step: int | None = None
    restore_s: float | None = None
    shipped_bytes: int = 0
    replay_s: float | None = None

    def restored(self, step: int, now_s: float, shipped_bytes: int) -> None:
        """All blocks are ready to go on from a training step, after so many bytes of files were sent."""
        self.step, self.restore_s, self.shipped_bytes = step, now_s - self.failed_s, shipped_bytes

    def told(self, hosted: Mapping[str, Sequence[str]]) -> str:
        """A sentence on what was restored; `hosted`: board -> blocks."""
        where = "; ".join(f"{board}: {', '.join(blocks)}" for board, blocks in hosted.items())
        return (
            f"goes on from step {self.step} after {self.restore_s or 0:.1f} s and {self.shipped_bytes} bytes sent, on {where}"
        )

    def replayed(self, now_s: float) -> None:
        """Something new was done."""
        if self.restore_s is not None:
            self.replay_s = now_s - self.failed_s - self.restore_s

    def facts(self) -> dict[str, Any]:
        """For the summary of a run."""
        return {
            "reason": self.reason,
            "board": self.board,
            "step": self.step,
            "restore_seconds": self.restore_s,
            "shipped_bytes": self.shipped_bytes,
            "replay_seconds": self.replay_s,
        }
