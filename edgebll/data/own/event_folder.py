"""A folder of event files, a subfolder a class: each file becomes frames of its events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from edgebll.data.dataset import Bytes
from edgebll.data.events import aedat_file, nmnist_file
from edgebll.data.events.binning import COUNT, TIME, Events, as_bytes, counted, steps_of
from edgebll.data.events.stored_frames import StoredFrames, as_rows, check_kept, row_bytes
from edgebll.data.own.class_folders import ClassFiles, find_class_files, has_class_files
from edgebll.data.own.data_options import NO, OwnDataOptions, check_word, pixel_sides
from edgebll.data.own.decoded_classes import decode_classes, files_left_out, parts_left
from edgebll.data.own.file_digest import digest_files
from edgebll.data.own.sample_pool import SamplePool
from edgebll.kernel.errors import ConfigError

EVENTS = "events"
#: What reads a file, and the pixels of the sensor that such files are of, by ending.
READERS: dict[str, tuple[Callable[[Path], Events], str]] = {
    ".bin": (nmnist_file.read_nmnist, nmnist_file.SENSOR),
    ".aedat": (aedat_file.read_aedat, aedat_file.SENSOR),
}
#: A version of the readers and of binning, in the key of what is kept.
_READ = "events 1"
_MOST_STEPS, _MOST_POOLED = 10_000, 256


@dataclass(frozen=True)
class EventOptions(OwnDataOptions):
    """Options of event files; those of every kind come before.

    Attributes:
        time_steps: frames of a sample.
        bin_by: "time", frames of equal duration; "count", of equally many events.
        duration: milliseconds of a sample from its first event; what comes later is left out. 0 for up to its last event.
        sensor: pixels, "HEIGHTxWIDTH" or the one number of a square; empty for those that such files have.
        pool: pixels a side that become one.
        counts: whether a frame has the number of events, up to 255, and not just whether there are any.
        sort: whether events that are out of order are sorted, and not refused.
        decoded: SHA-256 of the frames; empty until it is found out.

    Raises:
        ConfigError: one is out of range.
    """

    time_steps: int = 10
    bin_by: str = TIME
    duration: float = 0.0
    sensor: str = ""
    pool: int = 1
    counts: bool = False
    sort: bool = False
    decoded: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_word("bin_by", self.bin_by, (TIME, COUNT))
        if not 1 <= self.time_steps <= _MOST_STEPS:
            raise ConfigError(f"the data option time_steps must lie in 1..{_MOST_STEPS}, not {self.time_steps}")
        if not 1 <= self.pool <= _MOST_POOLED:
            raise ConfigError(f"the data option pool must lie in 1..{_MOST_POOLED} pixels, not {self.pool}")
        if not (self.duration == 0 or 0.001 <= self.duration <= 1e9):
            raise ConfigError(f"the data option duration must be milliseconds, 0.001 to 1e9, not {self.duration:g}")
        if self.duration and self.bin_by == COUNT:
            raise ConfigError("the data option duration goes with bin_by=time, not with bin_by=count; leave one of them out")
        if self.normalize not in ("", NO):
            raise ConfigError("events are counted, not normalised; leave the data option normalize out")
        if self.sensor:
            pixel_sides("sensor", self.sensor)

    @property
    def frame(self) -> tuple[int, int, int, int]:
        """Shape of a sample: (time_steps, 2, height, width)."""
        height, width = pixel_sides("sensor", self.sensor)
        return self.time_steps, 2, -(-height // self.pool), -(-width // self.pool)


def is_event_folder(path: Path) -> bool:
    """Whether there are event files in subfolders."""
    return path.is_dir() and has_class_files(path, tuple(READERS))


def read_event_folder(path: Path, options: EventOptions, tell: Callable[[str], None]) -> SamplePool:
    """All event files of a folder, as frames (N, time_steps, 2, H, W); what cannot be read is left out and named.

    Args:
        path: of the folder.
        options: of the events.
        tell: takes a sentence before what may take long.

    Raises:
        DataError: the folder has not the classes it should, or not one file of a class can be read.
    """
    found = find_class_files(path, tuple(READERS), "event file", options.classes)
    sensor = options.sensor or READERS[found.files[0].suffix.lower()][1]

    def read(file: Path) -> Events:
        return READERS[file.suffix.lower()][0](file)

    return event_pool(found, found.files, read, replace(options, sensor=sensor), tell)


def event_pool(
    found: ClassFiles,
    files: Sequence[Path],
    read: Callable[[Path], Events],
    options: EventOptions,
    tell: Callable[[str], None],
) -> SamplePool:
    """Recordings as frames, read once and kept; what cannot be read is left out and named.

    Args:
        found: a name for each recording, its class and what it is for.
        files: what they are in.
        read: the events of one of `found.files`.
        options: of the events, with a sensor.
        tell: takes a sentence before what may take long.

    Raises:
        ConfigError: more pixels shall become one than there are.
        DataError: of a class not one recording can be read, or there are too many frames to be kept.
    """
    _check_pool(options)
    check_kept(str(found.folder), len(found.files), options.frame, counts=options.counts)
    options = replace(options, classes=found.classes, normalize=NO, digest=digest_files(found.folder, files))
    recipe = {"digest": options.digest, "read": _READ, "by": options.bin_by, "duration": options.duration}
    recipe |= {"sensor": options.sensor, "pool": options.pool, "frame": options.frame, "counts": options.counts}
    decoded = decode_classes(
        found,
        lambda file: as_rows(frames(read(file), options)[None], counts=options.counts)[0],
        (row_bytes(options.frame, counts=options.counts),),
        "uint8",
        {**recipe, "sort": options.sort, "kind": options.kind},  # each kind has an order of its own
        lambda: tell(f"reading events of {len(found.files)} recordings of {found.folder}, once; they are kept for later"),
    )
    options = replace(options, decoded=decoded.sha256)
    samples = StoredFrames(decoded.array, options.frame, counts=options.counts)
    skipped = files_left_out(found, decoded)
    return SamplePool(str(found.folder), cast(Any, samples), found.labels, parts_left(found, decoded), options, skipped)


def _check_pool(options: EventOptions) -> None:
    most = min(pixel_sides("sensor", options.sensor))
    if options.pool > most:
        raise ConfigError(
            f"the data option pool must lie in 1..{most} pixels, the shorter side of the sensor of {options.sensor}, "
            f"not {options.pool}"
        )


def frames(events: Events, options: EventOptions) -> Bytes:
    """Frames of a recording, uint8 (time_steps, 2, H, W).

    Args:
        events: of the recording.
        options: how they are binned, with a sensor.

    Raises:
        ValueError: there are none, they lie outside the sensor, or are out of order.
    """
    if not len(events):
        raise ValueError("it has no events; take it out")
    events.check_within(*pixel_sides("sensor", options.sensor))
    events = events.in_order(sort=options.sort)
    steps = steps_of(events, options.time_steps, options.bin_by, duration=round(1000 * options.duration))
    pooled = replace(events, x=events.x // options.pool, y=events.y // options.pool)
    return as_bytes(counted(pooled, steps, *options.frame[::2], options.frame[3]))
