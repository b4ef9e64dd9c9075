"""Who reads a live source, until when: trainings that share it, and all else its record alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.gated_source import CLASSES, Gate, pairs, source

from edgebll.data import LiveSource, load_data
from edgebll.data.own.live_reading import attached, reading_sources, samples_of, source_at
from edgebll.kernel.errors import DataError


def test_trainings_share_a_source_until_the_last_has_ended(tmp_path: Path) -> None:
    gate = Gate(free=3)
    with attached(source(tmp_path, gate)) as name:
        with attached(source(tmp_path, lambda: pytest.fail("read twice"))):
            train = load_data(name).train
        assert not train.ready(np.arange(16))
        gate.opened.set()
        assert train.inputs(np.arange(3))[:, 0].tolist() == [0, 1, 2]
        assert train.inputs(np.array([15]))[:, 0].tolist() == [18]
    assert source_at(tmp_path / "record") is None


def test_a_source_of_other_samples_is_not_shared(tmp_path: Path) -> None:
    with (
        attached(source(tmp_path)),
        pytest.raises(DataError, match="one of 20 samples of off, on, but the source has 30"),
        attached(source(tmp_path, count=30)),
    ):
        pass
    with attached(source(tmp_path)) as name:
        load_data(name).train.inputs(np.arange(16))
    with pytest.raises(DataError, match="is one of 20 samples of off, on, but the source has 30"):
        samples_of(source(tmp_path, count=30), "mine.py:source")


def test_what_code_makes_is_read_within_a_training_alone(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"live source mine\.py:source is read by trainings alone and has not recorded"):
        samples_of(source(tmp_path), "mine.py:source")
    with reading_sources():
        for _ in range(2):  # as a training does that looks at its data twice
            found = samples_of(source(tmp_path), "mine.py:source")
        found.wait_for(np.arange(20))
        assert source_at(tmp_path / "record") is not None
    assert source_at(tmp_path / "record") is None
    record = samples_of(source(tmp_path, lambda: pytest.fail("read")), "mine.py:source")
    assert record.expected == 20
    assert record.has(np.arange(20))


def test_a_source_without_classes_says_so(tmp_path: Path) -> None:
    with attached(LiveSource(((x, None) for x, _ in pairs()), tmp_path / "record", count=20)) as name:
        load_data(name)
    with pytest.raises(DataError, match=f"one of 20 samples of no class, but the source has 20 of {', '.join(CLASSES)}"):
        samples_of(source(tmp_path), "mine.py:source")
