"""A folder of recordings with a table of trials beside each, as DVS128 Gesture comes (Amir et al. 2017): a trial is a sample.

user01_led.aedat, user01_led_labels.csv      class,startTime_usec,endTime_usec and a line a trial
trials_to_train.txt, trials_to_test.txt      names of recordings; without both files, a part of the trials is held out
"""

from __future__ import annotations

import csv
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgebll.data.events.aedat_file import SENSOR, read_aedat
from edgebll.data.events.binning import Events
from edgebll.data.own.class_folders import ClassFiles
from edgebll.data.own.event_folder import EventOptions, event_pool
from edgebll.data.own.held_out import LEFT_OUT, TEST, TRAIN, UNDECIDED
from edgebll.data.own.sample_pool import SamplePool
from edgebll.kernel.errors import DataError

TRIALS = "trials"
_LABELS = "_labels.csv"
_COLUMNS = ["class", "startTime_usec", "endTime_usec"]
_LISTS = {"trials_to_train.txt": TRAIN, "trials_to_test.txt": TEST}
_RECORDINGS_KEPT = 4


class GestureTrial(NamedTuple):
    """A part of a recording: its class as the table has it, and when it begins and ends, in microseconds."""

    label: int
    begin: int
    end: int


def is_trial_folder(path: Path) -> bool:
    """Whether there are recordings with tables of trials."""
    return path.is_dir() and any(_table(recording).is_file() for recording in path.glob("*.aedat"))


def read_trial_folder(path: Path, options: EventOptions, tell: Callable[[str], None]) -> SamplePool:
    """All trials of all recordings of a folder, as frames (N, time_steps, 2, H, W).

    Args:
        path: of the folder.
        options: of the events.
        tell: takes a sentence before what may take long.

    Raises:
        DataError: a table is damaged, a recording has none, or not one trial of a class can be read.
    """
    recordings = sorted(path.glob("*.aedat"))
    tables = {recording: read_trials(_table(recording)) for recording in recordings}
    numbers = sorted({trial.label for trials in tables.values() for trial in trials})
    classes = tuple(map(str, numbers))
    if options.classes and set(options.classes) != set(classes):
        raise DataError(f"{path} has the classes {', '.join(classes)}, but the data option classes has others; leave it out")
    parts = _parts(path, recordings)
    rows = [(recording, place, trial) for recording, trials in tables.items() for place, trial in enumerate(trials)]
    labels = np.array([(options.classes or classes).index(str(trial.label)) for _, _, trial in rows], np.int64)
    found = ClassFiles(
        path,
        tuple(recording / str(place) for recording, place, _ in rows),
        options.classes or classes,
        labels,
        np.array([parts[recording.name] for recording, _, _ in rows], np.int8),
    )
    read, lock = lru_cache(_RECORDINGS_KEPT)(read_aedat), threading.Lock()

    def trial_of(file: Path) -> Events:
        with lock:  # the trials of a recording follow each other, and it is read once
            events = read(file.parent)
        trial = tables[file.parent][int(file.name)]
        inside = (events.t >= trial.begin) & (events.t < trial.end)
        return Events(events.t[inside], events.x[inside], events.y[inside], events.p[inside])

    files = [*recordings, *map(_table, recordings), *(path / name for name in _LISTS if (path / name).is_file())]
    return event_pool(found, sorted(files), trial_of, replace(options, sensor=options.sensor or SENSOR), tell)


def read_trials(path: Path) -> list[GestureTrial]:
    """The trials of a table.

    Args:
        path: of the table.

    Raises:
        DataError: it is missing or damaged.
    """
    try:
        lines = list(csv.reader(path.read_text("utf-8").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the table of trials {path} cannot be read ({error}); put it beside its recording") from error
    if not lines or [cell.strip() for cell in lines[0]] != _COLUMNS:
        raise DataError(f"the table of trials {path} must begin with {','.join(_COLUMNS)}; mend it")
    trials = []
    for number, cells in enumerate(lines[1:], 2):
        try:
            trial = GestureTrial(*map(int, cells))
        except (ValueError, TypeError):
            raise DataError(f"line {number} of {path} must be three whole numbers, not {','.join(cells)!r}; mend it") from None
        if not 0 <= trial.begin < trial.end:
            raise DataError(f"the trial in line {number} of {path} ends at {trial.end} us, not after it begins; mend it")
        trials.append(trial)
    return trials


def _table(recording: Path) -> Path:
    return recording.with_name(recording.stem + _LABELS)


def _parts(path: Path, recordings: list[Path]) -> dict[str, int]:
    """What each recording is for, by name; what only one list has is left out, if there are both lists."""
    lists = {name: path / name for name in _LISTS}
    if not all(file.is_file() for file in lists.values()):
        return dict.fromkeys((recording.name for recording in recordings), UNDECIDED)
    found = dict.fromkeys((recording.name for recording in recordings), LEFT_OUT)
    for name, file in lists.items():
        for line in file.read_text("utf-8", "replace").split():
            if line in found:
                found[line] = _LISTS[name]
    return found
