"""Data sets of tonic by name: what tonic reads, binned by edgebll. Where tonic is not installed, that it is asked for."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from support.event_files import some_events, write_event_folder

from edgebll.data import load_data, load_dataset
from edgebll.data.registry import is_own, settled_name
from edgebll.kernel.errors import ConfigError, DataError, MissingExtraError

HERE = importlib.util.find_spec("tonic") is not None
needs_tonic = pytest.mark.skipif(not HERE, reason="tonic is not installed: pip install tonic")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEBLL_DATA", str(tmp_path))
    return tmp_path


def test_a_name_of_tonic_is_one_everywhere() -> None:
    assert is_own("tonic:NMNIST")
    assert settled_name("tonic:NMNIST") == "tonic:NMNIST"


@pytest.mark.skipif(HERE, reason="tonic is installed")
def test_tonic_is_asked_for_where_it_is_not_installed() -> None:
    with pytest.raises(MissingExtraError, match=r"tonic:NMNIST needs tonic.*pip install 'edgebll\[tonic\]'"):
        load_data("tonic:NMNIST")


@needs_tonic
def test_what_tonic_reads_becomes_the_frames_of_our_own_reader(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = importlib.import_module("tonic.datasets")
    monkeypatch.setattr(datasets.NMNIST, "_check_exists", lambda _: True)  # it wants all 60,000 files
    write_event_folder(folder / "NMNIST")
    options = {"time_steps": 5, "pool": 2}
    by_name, by_path = load_data("tonic:NMNIST", options=options), load_data(str(folder / "NMNIST"), options=options)
    assert (by_name.options["kind"], by_name.options["sensor"]) == ("tonic", "34x34")
    assert by_name.train.input_shape == (5, 2, 17, 17)
    for ours, theirs in zip(by_path.splits, by_name.splits, strict=True):
        rows = np.arange(len(ours))
        assert len(theirs) == len(ours)
        seen, expected = (
            sorted((x.tobytes(), int(y)) for x, y in zip(part.inputs(rows), part.labels[rows], strict=True))
            for part in (theirs, ours)
        )
        assert seen == expected
    assert load_dataset("tonic:NMNIST", "test", options=by_name.options).input_shape == (5, 2, 17, 17)
    (folder / "NMNIST" / "Test" / "0" / "00000.bin").write_bytes(b"12345" * len(some_events(0)))
    with pytest.raises(DataError, match="have changed since the training began"):
        load_data("tonic:NMNIST", options=by_name.options)


@needs_tonic
def test_what_tonic_has_not_is_said_and_nothing_is_downloaded(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"tonic has no data set 'Nothing' of a training and a test part; it has .*NMNIST"):
        load_data("tonic:Nothing")
    with pytest.raises(DataError, match=r"the files of tonic:NMNIST were not found in .*/NMNIST.*; let tonic get them"):
        load_data("tonic:NMNIST")
    with pytest.raises(DataError, match=r"has spikes of units, not events on a sensor; give its \.h5 files"):
        load_data("tonic:SHD")
    (folder / "DVSGesture").mkdir()
    with pytest.raises(DataError, match=r"DVSGesture lacks files of tonic:DVSGesture.*let tonic get them: python -c"):
        load_data("tonic:DVSGesture")
    assert list((folder / "DVSGesture").iterdir()) == []
