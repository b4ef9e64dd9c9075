"""Files of events, written bit by bit as their formats say: N-MNIST's .bin, and AEDAT 3.1."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

#: An event: microseconds, column, row, polarity.
Event = tuple[int, int, int, int]


def bin_bytes(events: Sequence[Event]) -> bytes:
    """Five bytes an event: "bit 39 - 32: Xaddress, 31 - 24: Yaddress, 23: Polarity, 22 - 0: Timestamp"."""
    return b"".join((x << 32 | y << 24 | p << 23 | t).to_bytes(5, "big") for t, x, y, p in events)


def aedat_bytes(packets: Sequence[bytes], version: str = "3.1") -> bytes:
    """A head as a DVS128 has it, and packets."""
    head = [f"#!AER-DAT{version}", "#Format: RAW", "#Source 1: DVS128", "#Start-Time: 2016-02-26 16:12:00", "#!END-HEADER"]
    return "".join(f"{line}\r\n" for line in head).encode() + b"".join(packets)


def polarity_packet(events: Sequence[Event], overflow: int = 0, invalid: Sequence[int] = ()) -> bytes:
    """A packet of polarity events; those with the places `invalid` are marked so."""
    body = b"".join(
        struct.pack("<Ii", (0 if place in invalid else 1) | p << 1 | y << 2 | x << 17, t)
        for place, (t, x, y, p) in enumerate(events)
    )
    return struct.pack("<hhiiiiii", 1, 1, 8, 4, overflow, len(events), len(events), len(events) - len(invalid)) + body


def special_packet() -> bytes:
    """A packet of one special event, of 8 bytes, and one of an IMU's, of 36."""
    special = struct.pack("<hhiiiiii", 0, 1, 8, 4, 0, 1, 1, 1) + struct.pack("<Ii", 3, 10)
    return special + struct.pack("<hhiiiiii", 3, 1, 36, 4, 0, 2, 2, 2) + bytes(72)


def some_events(seed: int, count: int = 60, side: int = 34, first: int = 0) -> list[Event]:
    """Events in order, more of them in the rows that the class `seed % 3` stands for."""
    random = np.random.default_rng(seed)
    t = first + np.sort(random.integers(0, 300_000, count))
    y = np.clip(random.normal(side * (1 + seed % 3) / 4, 2, count).astype(int), 0, side - 1)
    x, p = random.integers(0, side, count), random.integers(0, 2, count)
    return list(zip(t.tolist(), x.tolist(), y.tolist(), p.tolist(), strict=True))


def write_event_folder(folder: Path, count: int = 4, classes: int = 3) -> Path:
    """A folder as that of N-MNIST: Train and Test, a subfolder a class."""
    for part, size in (("Train", count), ("Test", 2)):
        for label in range(classes):
            place = folder / part / str(label)
            place.mkdir(parents=True)
            for index in range(size):
                seed = label + 3 * (index + (1000 if part == "Test" else 0))
                (place / f"{index:05d}.bin").write_bytes(bin_bytes(some_events(seed)))
    return folder


def write_trials(folder: Path, users: int = 2, classes: int = 3) -> Path:
    """A folder as that of DVS128 Gesture: recordings of several trials with their tables, and lists of what is for what."""
    folder.mkdir(parents=True)
    for user in range(users):
        name = f"user{user:02d}_led"
        lines, packets = ["class,startTime_usec,endTime_usec"], [special_packet()]
        for label in range(classes):
            begin = 1_000_000 * label + 500
            packets.append(polarity_packet(some_events(label + 3 * user, side=128, first=begin)))
            lines.append(f"{label + 1},{begin},{begin + 300_000}")
        (folder / f"{name}.aedat").write_bytes(aedat_bytes(packets))
        (folder / f"{name}_labels.csv").write_text("\n".join(lines) + "\n")
    names = [f"user{user:02d}_led.aedat" for user in range(users)]
    (folder / "trials_to_train.txt").write_text("\n".join(names[:-1]) + "\n")
    (folder / "trials_to_test.txt").write_text(names[-1] + "\n")
    return folder
