"""Spike trains: which units spiked when, without a place on a sensor; each recording becomes frames (time_steps, units)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from edgebll.data.dataset import Bytes
from edgebll.data.events.binning import Events, as_bytes, counted, steps_of
from edgebll.data.events.stored_frames import StoredFrames, as_rows, check_kept, row_bytes
from edgebll.data.own.class_folders import ClassFiles
from edgebll.data.own.data_options import NO, OwnDataOptions
from edgebll.data.own.decoded_classes import decode_classes, files_left_out, parts_left
from edgebll.data.own.file_digest import digest_files
from edgebll.data.own.sample_pool import SamplePool
from edgebll.kernel.errors import ConfigError

#: Time steps of what has none of its own.
STEPS = 10
_READ = "trains 1"
_MOST_STEPS, _MOST_POOLED = 10_000, 4096
#: Times are compared as whole nanoseconds, so that 3 x 0.1 s is 0.3 s.
_NANOSECONDS = 1e9


class Trains(NamedTuple):
    """Spikes of a recording.

    Attributes:
        times: seconds (N,), in any order.
        units: which unit (N,).
        duration: seconds; 0 for up to the last spike. What is later is left out.
    """

    times: Any
    units: Any
    duration: float = 0.0


@dataclass(frozen=True)
class TrainOptions(OwnDataOptions):
    """Options of spike trains; those of every kind come before.

    Attributes:
        time_steps: frames of a sample; 0 for those that the data have, or 10.
        duration: milliseconds of a sample; 0 for what the data say, or up to the last spike.
        units: how many there are; 0 until it is found out.
        pool: units beside each other that become one.
        counts: whether a frame has the number of spikes, up to 255, and not just whether there are any.
        node: which node of a NIR graph, or NODE/OBSERVABLE; empty for the only one.
        decoded: SHA-256 of the frames; empty until it is found out.

    Raises:
        ConfigError: one is out of range.
    """

    time_steps: int = 0
    duration: float = 0.0
    units: int = 0
    pool: int = 1
    counts: bool = False
    node: str = ""
    decoded: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.time_steps <= _MOST_STEPS:
            raise ConfigError(f"the data option time_steps must lie in 1..{_MOST_STEPS}, not {self.time_steps}")
        if not 1 <= self.pool <= _MOST_POOLED:
            raise ConfigError(f"the data option pool must lie in 1..{_MOST_POOLED} units, not {self.pool}")
        if not 0 <= self.units <= 1 << 24:
            raise ConfigError(f"the data option units must lie in 1..{1 << 24}, not {self.units}")
        if not (self.duration == 0 or 0.001 <= self.duration <= 1e9):
            raise ConfigError(f"the data option duration must be milliseconds, 0.001 to 1e9, not {self.duration:g}")
        if self.normalize not in ("", NO):
            raise ConfigError("spikes are counted, not normalised; leave the data option normalize out")

    @property
    def frame(self) -> tuple[int, int]:
        """Shape of a sample: (time_steps, units)."""
        return self.time_steps, -(-self.units // self.pool)


def train_pool(
    found: ClassFiles,
    files: Sequence[Path],
    read: Callable[[Path], Trains],
    options: TrainOptions,
    tell: Callable[[str], None],
) -> SamplePool:
    """Recordings as frames (N, time_steps, units), read once and kept; what cannot be read is left out and named.

    Args:
        found: a name for each recording, its class and what it is for.
        files: what they are in.
        read: the spikes of one of `found.files`; raises ValueError for damaged ones.
        options: of the trains, with time_steps and units.
        tell: takes a sentence before what may take long.

    Raises:
        ConfigError: more units shall become one than there are.
        DataError: of a class not one recording can be read, or there are too many frames to be kept.
    """
    if 1 < options.units < options.pool:  # of files that cannot be read one unit is supposed
        raise ConfigError(f"the data option pool must lie in 1..{options.units}, the number of units, not {options.pool}")
    check_kept(str(found.folder), len(found.files), options.frame, counts=options.counts)
    options = replace(options, classes=found.classes, normalize=NO, digest=digest_files(found.folder, files))
    recipe = {"digest": options.digest, "read": _READ, "frame": options.frame, "units": options.units, "pool": options.pool}
    recipe |= {"duration": options.duration, "counts": options.counts, "node": options.node, "kind": options.kind}
    decoded = decode_classes(
        found,
        lambda file: as_rows(train_frames(read(file), options)[None], counts=options.counts)[0],
        (row_bytes(options.frame, counts=options.counts),),
        "uint8",
        recipe,
        lambda: tell(f"reading spikes of {len(found.files)} recordings of {found.folder}, once; they are kept for later"),
    )
    options = replace(options, decoded=decoded.sha256)
    samples = StoredFrames(decoded.array, options.frame, counts=options.counts)
    skipped = files_left_out(found, decoded)
    return SamplePool(str(found.folder), cast(Any, samples), found.labels, parts_left(found, decoded), options, skipped)


def train_frames(trains: Trains, options: TrainOptions) -> Bytes:
    """Frames of a recording, uint8 (time_steps, units).

    Args:
        trains: its spikes.
        options: how they are binned, with time_steps and units.

    Raises:
        ValueError: times or units are none, or out of range.
    """
    times, units = np.asarray(trains.times, np.float64), np.asarray(trains.units, np.int64)
    if times.shape != units.shape or times.ndim != 1:
        raise ValueError(f"it has {times.shape} times for {units.shape} units; it needs one for each spike")
    if not np.all(np.isfinite(times) & (times >= 0) & (times < 1e9)):
        raise ValueError("one of its times is negative, or no number; mend it")
    if len(units) and (units.min() < 0 or units.max() >= options.units):
        wrong = int(units.min()) if units.min() < 0 else int(units.max())
        raise ValueError(f"a spike is of unit {wrong}, but there are {options.units}; give the data option units")
    seconds = options.duration / 1000 or trains.duration
    order, zeros = np.argsort(times, kind="stable"), np.zeros(len(units), np.int64)
    nanoseconds = np.rint(times[order] * _NANOSECONDS).astype(np.int64)
    spikes = Events(nanoseconds, units[order] // options.pool, zeros, zeros)
    steps = steps_of(spikes, options.time_steps, begin=0, duration=round(seconds * _NANOSECONDS))
    return as_bytes(counted(spikes, steps, options.time_steps, 1, options.frame[1])[:, 0, 0])
