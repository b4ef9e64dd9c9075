"""Event files, written by the formats' specification: what is read of whole ones, and what is said of damaged ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.event_files import (
    Event,
    aedat_bytes,
    bin_bytes,
    polarity_packet,
    some_events,
    special_packet,
    write_event_folder,
    write_trials,
)

from edgebll.data import load_data, load_dataset
from edgebll.data.data_report import check_data
from edgebll.data.events.aedat_file import read_aedat
from edgebll.data.events.nmnist_file import read_nmnist
from edgebll.kernel.errors import ConfigError, DataError


def events_of(read: Any, path: Path, content: bytes) -> list[Event]:
    path.write_bytes(content)
    found = read(path)
    return list(zip(found.t.tolist(), found.x.tolist(), found.y.tolist(), found.p.tolist(), strict=True))


def test_nmnist_is_forty_bits_an_event(tmp_path: Path) -> None:
    events = [(0, 0, 0, 0), (1, 33, 2, 1), (2**23 - 1, 3, 33, 0)]
    assert events_of(read_nmnist, tmp_path / "a.bin", bin_bytes(events)) == events
    assert bytes([33, 2, 0x80, 0, 1]) == bin_bytes(events[1:2])
    overflows = bin_bytes([(5, 1, 1, 1), (0, 0, 240, 0), (6, 2, 2, 0), (0, 0, 240, 0), (7, 3, 3, 1)])
    assert events_of(read_nmnist, tmp_path / "a.bin", overflows) == [(5, 1, 1, 1), (8198, 2, 2, 0), (16391, 3, 3, 1)]
    assert events_of(read_nmnist, tmp_path / "a.bin", b"") == []


def test_aedat_has_packets_of_valid_polarity_events(tmp_path: Path) -> None:
    first, second = some_events(0, side=128), some_events(1, 5, side=128)
    content = aedat_bytes([polarity_packet(first, invalid=(3,)), special_packet(), polarity_packet(second, overflow=2)])
    expected = first[:3] + first[4:] + [(t + 2 * 2**31, x, y, p) for t, x, y, p in second]
    assert events_of(read_aedat, tmp_path / "a.aedat", content) == expected
    assert events_of(read_aedat, tmp_path / "a.aedat", aedat_bytes([])) == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (aedat_bytes([polarity_packet(some_events(0))])[:-1], "cut off in a packet of 60 events at byte 123"),
        (aedat_bytes([polarity_packet(some_events(0))[:20]]), "cut off in the head of a packet at byte 95"),
        (aedat_bytes([], version="2.0"), r"AEDAT of version 2\.0, but only 3\.1 is read"),
        (b"GIF89a" + bytes(99), r"does not begin with #!AER-DAT but with b'GIF89a"),
        (b"", "does not begin with #!AER-DAT"),
        (aedat_bytes([])[:60], "its head has no end"),
        (aedat_bytes([special_packet()[:4] + b"\xff" * 24]), "packet at byte 95 makes no sense"),
        (aedat_bytes([polarity_packet([], overflow=2**20)]), "packet at byte 95 makes no sense"),
        (aedat_bytes([b"\1\0" + special_packet()[38:]]), "polarity events have 8 bytes, but those at byte 123 have 36"),
    ],
)
def test_damaged_aedat_is_refused(content: bytes, told: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=told):
        events_of(read_aedat, tmp_path / "a.aedat", content)


def naive(events: list[Event], time_steps: int, side: int, pool: int = 1, duration: int | None = None) -> Any:
    """Counts of a recording, event by event."""
    begin, side = events[0][0], -(-side // pool)
    whole = duration or events[-1][0] - begin + 1
    counts = np.zeros((time_steps, 2, side, side), np.int64)
    for t, x, y, p in events:
        step = (t - begin) * time_steps // whole
        if step < time_steps:
            counts[step, p, y // pool, x // pool] += 1
    return counts


def test_a_folder_as_that_of_nmnist_becomes_frames(tmp_path: Path) -> None:
    folder = write_event_folder(tmp_path / "nmnist")
    found = load_data(str(folder), options={"time_steps": "6"})
    assert (found.train.input_shape, len(found.train), len(found.test)) == ((6, 2, 34, 34), 12, 6)
    assert (found.options["kind"], found.options["sensor"], found.options["classes"]) == ("events", "34x34", ["0", "1", "2"])
    seen = {found.test.inputs(np.array([row])).tobytes() for row in range(6)}
    expected = [naive(some_events(label + 3 * (1000 + index)), 6, 34) for label in range(3) for index in range(2)]
    assert seen == {(counts > 0).astype(np.float32).tobytes() for counts in expected}
    pooled = load_dataset(str(folder), "test", options={"time_steps": 3, "pool": 4, "counts": "yes", "duration": 100})
    sums = sorted(pooled.inputs(np.arange(6)).sum((1, 2, 3, 4)).tolist())
    counted = [naive(some_events(label + 3 * (1000 + i)), 3, 34, 4, 100_000) for label in range(3) for i in range(2)]
    assert sums == sorted(float(counts.sum()) for counts in counted)
    assert pooled.input_shape == (3, 2, 9, 9)
    by_count = load_dataset(str(folder), "test", options={"bin_by": "count", "time_steps": 5, "counts": True})
    assert set(by_count.inputs(np.arange(6)).sum((2, 3, 4)).ravel().tolist()) == {12.0}
    assert load_dataset(str(folder), "test", options=found.options).input_shape == (6, 2, 34, 34)
    report = check_data(str(folder), picture=tmp_path / "events.png")
    assert report["samples"] == {"train": 12, "test": 6}
    assert (tmp_path / "events.png").stat().st_size


def test_trials_of_gestures_are_cut_from_their_recordings(tmp_path: Path) -> None:
    folder = write_trials(tmp_path / "gestures")
    found = load_data(str(folder), options={"time_steps": 4, "pool": 4})
    assert (found.train.input_shape, len(found.train), len(found.test)) == ((4, 2, 32, 32), 3, 3)
    assert (found.options["kind"], found.options["classes"]) == ("trials", ["1", "2", "3"])
    for row in range(3):
        label = int(found.test.labels[row])
        expected = naive(some_events(label + 3, side=128, first=1_000_000 * label + 500), 4, 128, 4)
        assert np.array_equal(found.test.inputs(np.array([row]))[0], expected > 0)
    (folder / "trials_to_test.txt").unlink()
    assert len(load_dataset(str(folder), "test", options={"test": 0.5})) == 3


def test_damaged_files_are_left_out_each_with_a_sentence(tmp_path: Path) -> None:
    folder = write_event_folder(tmp_path / "events")
    late, off = some_events(0), some_events(0)
    late[5], off[7] = (late[4][0] - 1, *late[5][1:]), (off[7][0], 34, *off[7][2:])
    damaged = {"00000": b"", "00001": bin_bytes(some_events(0))[:-2], "00002": bin_bytes(late), "00003": bin_bytes(off)}
    for name, content in damaged.items():
        (folder / "Train" / "1" / f"{name}.bin").write_bytes(content)
    told: list[str] = []
    assert len(load_data(str(folder), tell=told.append).train) == 8
    assert told[-1].startswith(f"{folder}: 4 files are left out, for they cannot be read, e.g. Train/1/00000.bin: it has no")
    skipped = check_data(str(folder))["skipped"]
    for reason, part in zip(
        skipped,
        (
            "00000.bin: it has no events; take it out",
            "00001.bin: it has 298 bytes, not a whole number of events of 5; get it again",
            "00002.bin: event 5 is at",
            "00003.bin: event 7 is at column 34, row",
        ),
        strict=True,
    ):
        assert reason.startswith(f"Train/1/{part}")
    assert len(load_data(str(folder), options={"sort": "yes"}).train) == 9
    assert len(load_data(str(folder), options={"sensor": "40"}).train) == 9
    edge = check_data(str(folder), {"sensor": "33", "pool": 2})["skipped"]
    assert any("column 33, row" in reason and "the sensor of 33x33" in reason for reason in edge)
    for file in (folder / "Test" / "1").iterdir():
        file.write_bytes(b"")
    with pytest.raises(DataError, match=r"not one file of the class 1 can be read, e\.g\. Test/1/00000\.bin: it has no events"):
        load_data(str(folder))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"time_steps": 0}, r"time_steps must lie in 1\.\.10000, not 0"),
        ({"bin_by": "luck"}, "bin_by must be time or count, not 'luck'"),
        ({"pool": 0}, r"pool must lie in 1\.\.256 pixels, not 0"),
        ({"pool": 35}, r"pool must lie in 1\.\.34 pixels, the shorter side of the sensor of 34x34, not 35"),
        ({"pool": 35, "sensor": "34x90"}, r"in 1\.\.34 pixels, the shorter side of the sensor of 34x90, not 35"),
        ({"duration": -1}, "duration must be milliseconds, 0.001 to 1e9, not -1"),
        ({"duration": 5, "bin_by": "count"}, "duration goes with bin_by=time"),
        ({"normalize": "yes"}, "events are counted, not normalised"),
        ({"sensor": "x"}, "sensor must be like 64 or 48x64"),
        ({"encode": "rate"}, "are events already; leave the data option encode out"),
        ({"size": 8}, "has no data option 'size'"),
    ],
)
def test_options_that_are_none_are_said(options: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, DataError), match=told):
        load_data(str(write_event_folder(tmp_path / "events", 1, 2)), options=options)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("label,from,to\n1,2,3\n", "must begin with class,startTime_usec,endTime_usec"),
        ("class,startTime_usec,endTime_usec\n1,2\n", "line 2 of .* must be three whole numbers, not '1,2'"),
        ("class,startTime_usec,endTime_usec\n1,20,3\n", "line 2 of .* ends at 3 us, not after it begins"),
        (None, "cannot be read"),
    ],
)
def test_damaged_tables_of_trials_are_refused(table: str | None, told: str, tmp_path: Path) -> None:
    folder = write_trials(tmp_path / "gestures")
    place = folder / "user01_led_labels.csv"
    place.unlink() if table is None else place.write_text(table)
    with pytest.raises(DataError, match=told):
        load_data(str(folder))
