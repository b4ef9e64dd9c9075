"""Events (t, x, y, p) and how they become frames: counts of each polarity at each pixel in each time step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Bytes, Ints

TIME, COUNT = "time", "count"
#: Frames hold at most so many events of a pixel; what is more is not counted.
_MOST = 255


@dataclass(frozen=True)
class Events:
    """Events of one recording.

    Attributes:
        t: microseconds, int64 (N,).
        x: column of the pixel, int64 (N,).
        y: its row, int64 (N,).
        p: polarity, int64 (N,): 1 where it became brighter, 0 where darker.
    """

    t: Ints
    x: Ints
    y: Ints
    p: Ints

    def __len__(self) -> int:
        return len(self.t)

    def in_order(self, *, sort: bool = False) -> Events:
        """The events in the order of their times.

        Args:
            sort: whether they may be out of order.

        Raises:
            ValueError: they are, and may not.
        """
        back = np.flatnonzero(np.diff(self.t) < 0)
        if not back.size:
            return self
        if not sort:
            first = int(back[0])
            raise ValueError(
                f"event {first + 1} is at {int(self.t[first + 1])} us, before event {first} at {int(self.t[first])} us; give "
                "the data option sort=yes if that is as it should be"
            )
        order = np.argsort(self.t, kind="stable")
        return Events(self.t[order], self.x[order], self.y[order], self.p[order])

    def check_within(self, height: int, width: int) -> None:
        """Raise ValueError unless all events lie on a sensor of this size."""
        out = (self.x < 0) | (self.x >= width) | (self.y < 0) | (self.y >= height)
        if out.any():
            first = int(np.flatnonzero(out)[0])
            raise ValueError(
                f"event {first} is at column {int(self.x[first])}, row {int(self.y[first])}, outside the sensor of "
                f"{height}x{width} (HEIGHTxWIDTH) pixels; give the size that it has with the data option sensor"
            )


def steps_of(events: Events, time_steps: int, by: str = TIME, begin: int | None = None, duration: int = 0) -> Ints:
    """The time step of each event.

    Args:
        events: of a recording, in order.
        time_steps: how many there are.
        by: "time": steps of equal duration. "count": steps of equally many events, to one.
        begin: microseconds at which the first step begins; None for the first event's.
        duration: microseconds of all steps together; 0 for up to the last event, which is then in the last step.

    Returns:
        int64 (N,); -1 for events before and after.
    """
    count = len(events)
    if by == COUNT:
        return np.arange(count, dtype=np.int64) * time_steps // max(1, count)
    if not count:
        return np.zeros(0, np.int64)
    begin = int(events.t[0]) if begin is None else begin
    whole = duration or int(events.t[-1]) - begin + 1
    steps = (events.t - begin) * time_steps // whole
    return np.where((steps >= 0) & (steps < time_steps), steps, -1)


def counted(events: Events, steps: Ints, time_steps: int, height: int, width: int) -> npt.NDArray[np.int64]:
    """How many events of each polarity each pixel has in each time step.

    Args:
        events: of a recording.
        steps: the time step of each, see `steps_of`; those at -1 do not count.
        time_steps: how many there are.
        height: rows of the sensor.
        width: its columns.

    Returns:
        int64 (time_steps, 2, height, width); polarity 0 became darker, 1 brighter.

    Raises:
        ValueError: an event lies outside the sensor.
    """
    events.check_within(height, width)
    kept = steps >= 0
    places = ((steps * 2 + events.p) * height + events.y) * width + events.x
    cells = np.bincount(places[kept], minlength=time_steps * 2 * height * width)
    return cells.reshape(time_steps, 2, height, width)


def as_bytes(counts: npt.NDArray[np.int64]) -> Bytes:
    """Counts as uint8 of the same shape; more than 255 are 255."""
    return np.minimum(counts, _MOST).astype(np.uint8)
