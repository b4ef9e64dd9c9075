"""Spike trains in HDF5: NIRData as the package nir writes it, and files as those of SHD; each against a loop over spikes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebll.data import load_data, load_dataset
from edgebll.data.data_report import check_data
from edgebll.data.own.spike_trains import TrainOptions, Trains, train_frames
from edgebll.kernel.errors import ConfigError, DataError

UNITS, STEPS = 6, 8


def raster(seed: int, samples: int = 3) -> Any:
    """Spikes (samples, STEPS, UNITS), more of them in the units of the class `seed % 2`."""
    random = np.random.default_rng(seed)
    return random.random((samples, STEPS, UNITS)) < np.where(np.arange(UNITS) % 2 == seed % 2, 0.5, 0.1)


def write_nir(path: Path, data: Any, node: str = "input", observable: str = "spikes", dt: float = 1e-3) -> None:
    """A file of one observable, bool as grids and lists as events."""
    path.parent.mkdir(parents=True, exist_ok=True)
    value = nir.TimeGriddedData(data, dt)
    if path.stem.startswith("events"):
        value = value.to_event(int(data.sum((1, 2)).max()) + 2)
    nir.write_data(str(path), nir.NIRGraphData({node: nir.NIRNodeData({observable: value})}))


def write_folder(folder: Path) -> Path:
    for label, name in enumerate(["even", "odd"]):
        write_nir(folder / name / "grid.h5", raster(label))
        write_nir(folder / name / "events.nir", raster(label + 2, 2))
    return folder


def write_shd(path: Path, counts: int = 9, seed: int = 0, keys: bool = True) -> list[tuple[Any, Any, int]]:
    """A file as those of SHD; returns what is in it."""
    random = np.random.default_rng(seed)
    recordings = []
    for index in range(counts):
        times = np.sort(random.uniform(0, 0.9, 30)).astype(np.float32)
        recordings.append((times, random.integers(0, 700, 30), index % 3))
    with h5py.File(path, "w") as file:
        for name, dtype, column in (("times", np.float32, 0), ("units", np.uint16, 1)):
            rows = file.create_dataset(f"spikes/{name}", (counts,), h5py.vlen_dtype(dtype))
            for row, recording in enumerate(recordings):
                rows[row] = recording[column]
        file["labels"] = np.array([label for _, _, label in recordings], np.uint16)
        if keys:
            file["extra/keys"] = [b"zero", b"one", b"two"]
    return recordings


@given(
    st.lists(st.tuples(st.integers(0, 999), st.integers(0, UNITS - 1)), max_size=30),
    st.integers(1, 9),
    st.integers(1, 4),
    st.sampled_from([0.0, 500.0, 1000.0]),
)
def test_every_spike_is_in_its_frame(spikes: list[tuple[int, int]], steps: int, pool: int, duration: float) -> None:
    options = TrainOptions(time_steps=steps, units=UNITS, pool=pool, duration=duration, counts=True)
    times = np.array([ms / 1000 for ms, _ in spikes])
    found = train_frames(Trains(times, np.array([unit for _, unit in spikes], np.int64)), options)
    whole = Fraction(duration) / 1000 or Fraction(max((ms for ms, _ in spikes), default=0), 1000) + Fraction(1, 10**9)
    expected = np.zeros((steps, -(-UNITS // pool)), np.int64)
    for ms, unit in spikes:
        step = int(Fraction(ms, 1000) * steps / whole)
        if step < steps:
            expected[step, unit // pool] += 1
    assert np.array_equal(found, expected)


def test_nir_data_of_both_forms_are_the_spikes_that_were_written(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "recorded")
    found = load_data(str(folder), options={"test": 0.4})
    assert (found.options["kind"], found.options["classes"]) == ("nir-data", ["even", "odd"])
    assert (found.options["time_steps"], found.options["units"]) == (STEPS, UNITS)
    assert (found.train.input_shape, len(found.train), len(found.test)) == ((STEPS, UNITS), 6, 4)
    both = [
        (part.inputs(np.array([row])).tobytes(), int(part.labels[row])) for part in found.splits for row in range(len(part))
    ]
    written = [
        (sample.astype(np.float32).tobytes(), label)
        for label in range(2)
        for data in (raster(label), raster(label + 2, 2))
        for sample in data
    ]
    assert sorted(both) == sorted(written)
    assert load_dataset(str(folder), "test", options={"time_steps": 4, "pool": 2, "test": 1}).input_shape == (4, 3)
    check_data(str(folder), picture=tmp_path / "raster.png")
    assert (tmp_path / "raster.png").stat().st_size


@pytest.mark.parametrize("dt", [1e-3, 1 / 3, 0.1, 1e-4 / 7])
def test_a_grid_stays_a_grid_whatever_its_step(dt: float, tmp_path: Path) -> None:
    for label, name in enumerate("ab"):
        write_nir(tmp_path / name / "grid.h5", raster(label, 1), dt=dt)
    found = load_dataset(str(tmp_path), "test", options={"test": 1})
    rows = {found.inputs(np.array([row])).tobytes() for row in range(2)}
    assert rows == {raster(label, 1).astype(np.float32).tobytes() for label in range(2)}


def test_files_as_those_of_shd_are_read(tmp_path: Path) -> None:
    trained, tested = write_shd(tmp_path / "shd_train.h5"), write_shd(tmp_path / "shd_test.h5", 6, 1)
    options = {"time_steps": 5, "duration": 1000, "pool": 100}
    found = load_data(str(tmp_path), options=options)
    assert (found.train.input_shape, len(found.train), len(found.test)) == ((5, 7), 9, 6)
    assert found.options["classes"] == ["zero", "one", "two"]
    for part, recordings in ((found.train, trained), (found.test, tested)):
        expected = []
        for times, units, label in recordings:
            frame = np.zeros((5, 7), np.float32)
            for time, unit in zip(times.tolist(), units.tolist(), strict=True):
                frame[int(time * 5), unit // 100] = 1
            expected.append((frame.tobytes(), label))
        seen = [(part.inputs(np.array([row])).tobytes(), int(part.labels[row])) for row in range(len(part))]
        assert sorted(seen) == sorted(expected)
    alone = load_data(str(tmp_path / "shd_test.h5"), options=options)
    assert (len(alone.train), len(alone.test)) == (3, 3)
    assert load_dataset(str(tmp_path), "test", options=found.options).input_shape == (5, 7)


def test_damaged_recordings_are_left_out_each_with_a_sentence(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "recorded")
    (folder / "even" / "cut.nir").write_bytes((folder / "even" / "grid.h5").read_bytes()[:900])
    with h5py.File(folder / "even" / "none.nir", "w") as file:
        file["anything"] = 1
    write_nir(folder / "odd" / "wide.h5", np.ones((1, STEPS, UNITS + 2), bool))
    nir.write_data(
        str(folder / "odd" / "voltages.h5"),
        nir.NIRGraphData({"lif": nir.NIRNodeData({"v": nir.TimeGriddedData(np.zeros((1, 4, UNITS)), 1e-3)})}),
    )
    skipped = [reason.split(": ", 1) for reason in check_data(str(folder))["skipped"]]
    assert [name for name, _ in skipped] == ["even/cut.nir/0", "even/none.nir/0", "odd/voltages.h5/0", "odd/wide.h5/0"]
    assert [reason.split(";")[0] for _, reason in skipped[1:]] == [
        "Root object is not NIRGraphData",
        "lif/v are numbers, not spikes",
        "a spike is of unit 7, but there are 6",
    ]
    two = {"a": raster(0), "b": raster(1)}
    nodes = {name: nir.NIRNodeData({"spikes": nir.TimeGriddedData(data, 1e-3)}) for name, data in two.items()}
    for name in ("x", "y"):
        (tmp_path / "two" / name).mkdir(parents=True)
        nir.write_data(str(tmp_path / "two" / name / "two.nir"), nir.NIRGraphData(nodes))
    with pytest.raises(DataError, match=r"it has 2 observables, of a/spikes, b/spikes; give one with the data option node"):
        load_data(str(tmp_path / "two"))
    assert len(load_data(str(tmp_path / "two"), options={"node": "b"}).train) == 4


def test_files_that_are_none_of_heidelberg_are_refused(tmp_path: Path) -> None:
    (tmp_path / "none.h5").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"none\.h5 cannot be read as HDF5"):
        load_data(str(tmp_path / "none.h5"))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["labels"] = [1, 2]
    with pytest.raises(DataError, match=r"other\.h5 has no spikes/times; give a file as those of SHD and SSC"):
        load_data(str(tmp_path / "other.h5"))
    for labels, told in (([0, 1], "2 labels for 9 times"), ([7] * 9, "labels from 7 to 7, but 3 classes")):
        write_shd(tmp_path / "wrong.h5")
        with h5py.File(tmp_path / "wrong.h5", "a") as file:
            del file["labels"]
            file["labels"] = labels
        with pytest.raises(DataError, match=told):
            load_data(str(tmp_path / "wrong.h5"))
    write_shd(tmp_path / "far.h5", keys=False)
    with h5py.File(tmp_path / "far.h5", "a") as file:
        del file["spikes/units"]
        file.create_dataset("spikes/units", (9,), h5py.vlen_dtype(np.int32))
    with pytest.raises(DataError, match=r"not one file of the class 0 can be read.*times for \(0,\) units"):
        load_data(str(tmp_path / "far.h5"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"time_steps": -1}, "time_steps must lie in"),
        ({"pool": 0}, r"pool must lie in 1\.\.4096 units, not 0"),
        ({"pool": 7, "units": 6}, r"pool must lie in 1\.\.6, the number of units, not 7"),
        ({"units": -1}, "units must lie in"),
        ({"units": 3}, "a spike is of unit [3-5], but there are 3"),
        ({"duration": -1}, "duration must be milliseconds"),
        ({"normalize": "yes"}, "spikes are counted, not normalised"),
        ({"encode": "rate"}, "are events already"),
    ],
)
def test_options_that_are_none_are_said(options: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, DataError), match=told):
        load_data(str(write_folder(tmp_path / "recorded")), options=options)
