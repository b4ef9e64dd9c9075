"""Spikes wherever samples go: by name, by option, of own data; what is recorded of them, and what is refused."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.idx_files import write_fashion_mnist
from support.own_files import write_images

from edgebll.data import Dataset, LiveSource, load_data, load_dataset
from edgebll.data.data_report import check_data
from edgebll.data.events.camera import EventCamera, frames_of
from edgebll.data.events.encoders import rate_spikes
from edgebll.data.named_data import MADE, check_here
from edgebll.data.own.given_samples import named_data
from edgebll.data.registry import named_options, recorded_options
from edgebll.data.same_options import same_options, same_told
from edgebll.kernel.errors import ConfigError, DataError

RATE = {"encode": "rate", "time_steps": "4"}


def all_of(dataset: Dataset) -> Any:
    return dataset.inputs(np.arange(len(dataset)))


def test_an_event_data_set_is_its_images_before_a_camera(tmp_path: Path) -> None:
    pixels = write_fashion_mnist(tmp_path, train=5, test=4)
    options = {"time_steps": 3, "threshold": 0.3, "spike_seed": 7, "refractory": 25}
    found = load_data("events-fashion-mnist", tmp_path, options=options)
    light = pixels["train-images-idx3-ubyte"].astype(np.int64) * 65536 // 255
    low = int(pixels["train-images-idx3-ubyte"].min())
    assert (low, int(pixels["train-images-idx3-ubyte"].max())) == (0, 255)
    camera = EventCamera(34, 34, 4, 0.3, refractory=3, keys=(7, 0))
    assert np.array_equal(all_of(found.train), frames_of(camera.changes(light, np.arange(5)), 3))
    assert found.train.name == "events-fashion-mnist"
    assert found.options | options == found.options
    assert found.options["sensor"] == "34x34"
    again = load_dataset("events-fashion-mnist", "test", tmp_path, None, found.options)
    assert np.array_equal(all_of(again), all_of(found.test))
    check_here("events-fashion-mnist", tmp_path)
    with pytest.raises(DataError, match="the data set fashion-mnist was not found"):
        check_here("events-fashion-mnist", tmp_path / "elsewhere")


def test_rate_is_drawn_by_seed_split_and_index() -> None:
    found = load_data("digits", options=RATE)
    assert found.options == {"encode": "rate", "time_steps": 4, "spike_seed": 0, "low": 0.0, "high": 16.0}
    assert found.train.input_shape == (4, 1, 8, 8)
    for split, dataset, key in (("train", found.train, 0), ("test", found.test, 1)):
        plain = load_dataset("digits", split).samples.astype(np.int64) * 4096
        rows = np.array([3, 1, 200])
        assert np.array_equal(dataset.inputs(rows), rate_spikes(plain[rows], rows, 4, (0, key)))
    limited = load_data("digits", limit=9, options=RATE)
    assert np.array_equal(all_of(limited.train), all_of(found.train)[:9])
    assert not np.array_equal(all_of(load_dataset("digits", "test", options={**RATE, "spike_seed": 1})), all_of(found.test))


def test_other_commands_find_the_recorded_encoder() -> None:
    recorded = load_data("digits", options=RATE).options
    assert recorded_options(None, recorded, None) == recorded
    assert recorded_options("digits", recorded, {"time_steps": 8})["time_steps"] == 8
    assert recorded_options("digits", recorded, {"encode": "latency"}) == {"encode": "latency"}
    assert recorded_options("digits", {}, None) == {}
    assert same_options("digits", recorded, {"time_steps": "4"})
    assert not same_options("digits", recorded, {"time_steps": "5"})
    assert same_told("digits", recorded, RATE)
    assert not same_told("digits", recorded, {})
    assert not same_told("digits", {}, RATE)
    assert same_told("events-digits", load_data("events-digits", limit=2).options, {})


def test_own_data_are_encoded_beside_their_own_options(tmp_path: Path) -> None:
    photos = write_images(tmp_path / "photos")
    options = {"size": 8, "encode": "latency", "time_steps": 5}
    found = load_data(str(photos), options=options)
    assert found.train.input_shape == (5, 3, 8, 8)
    assert (found.options["size"], found.options["encode"], found.options["kind"]) == ("8", "latency", "images")
    anew = recorded_options(str(photos), found.options, {"test": 1})
    assert {**RATE, **anew}["encode"] == "latency"
    assert load_dataset(str(photos), "test", options=anew).input_shape == (5, 3, 8, 8)
    seen = load_data(str(photos), options={"size": 8, "encode": "camera"}).train
    assert seen.input_shape == (10, 2, 12, 12)
    others = write_images(tmp_path / "others", {"cat": 8, "dog": 20, "owl": 12})
    assert not np.array_equal(all_of(load_data(str(others), options={"size": 8, "encode": "camera"}).train), all_of(seen))
    numbers = np.random.default_rng(0).normal(size=(12, 3, 20)).astype(np.float32)
    np.savez(tmp_path / "series.npz", x=numbers, y=np.arange(12) % 2)
    series = load_data(str(tmp_path / "series.npz"), options={"encode": "delta", "threshold": 0.05})
    assert series.train.input_shape == (20, 6)
    assert series.options["low"] < series.options["high"] <= float(numbers.max())
    rates = load_data(str(tmp_path / "series.npz"), options=RATE)
    assert rates.train.input_shape == (4, 60)
    assert check_data(str(tmp_path / "series.npz"), RATE)["options"]["encode"] == "rate"


def test_what_the_camera_saw_is_kept_once_and_never_wrong(cache: Path, tmp_path: Path) -> None:
    told: list[str] = []
    first = load_data("events-digits", limit=20, tell=told.append)
    assert [line.split(",")[0] for line in told] == [
        "an event camera looks at 20 samples of events-digits",
        "an event camera looks at 360 samples of events-digits",
    ]
    kept = sorted((cache / "edgebll" / "decoded").glob("*.npy"))
    assert len(kept) == 2
    again = load_data("events-digits", limit=20, tell=told.append)
    assert len(told) == 2
    assert np.array_equal(all_of(first.train), all_of(again.train))
    for file in kept:
        part = file.read_bytes()[:200]  # a disk that lost the end
        file.unlink()
        file.write_bytes(part)
    whole = load_data("events-digits", limit=20)
    assert np.array_equal(all_of(whole.train), all_of(first.train))
    load_data("events-digits", limit=20, options={"spike_seed": 1})
    assert len(list((cache / "edgebll" / "decoded").glob("*.npy"))) == 4


def test_the_same_bytes_come_from_another_process_without_torch(tmp_path: Path) -> None:
    program = (
        "import hashlib, sys, numpy as np\nfrom edgebll.data import load_dataset\n"
        "for name, options in (('events-digits', {}), ('digits', {'encode': 'rate'})):\n"
        "    x = load_dataset(name, 'train', limit=9, options=options).inputs(np.arange(9))\n"
        "    print(hashlib.sha256(x.tobytes()).hexdigest())\n"
        "assert not {'torch', 'onnx'} & sys.modules.keys()\n"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "other"), "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    here = [
        load_dataset("events-digits", "train", limit=9),
        load_dataset("digits", "train", limit=9, options={"encode": "rate"}),
    ]
    assert done.stdout.split() == [hashlib.sha256(all_of(dataset).tobytes()).hexdigest() for dataset in here]


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("digits", {"encode": "morse"}, "the data option encode must be camera or rate or latency or delta, not 'morse'"),
        ("digits", {"time_steps": 4}, "the data set digits has no data option 'time_steps'"),
        ("digits", {**RATE, "shift": 2}, "the data set digits has no data option 'shift'"),
        ("digits", {**RATE, "time_steps": "many"}, "time_steps: expected a whole number|expected .*int"),
        ("digits", {**RATE, "time_steps": -1}, r"time_steps must lie in 1\.\.10000, not -1"),
        ("digits", {**RATE, "time_steps": 0}, r"time_steps must lie in 1\.\.10000, not 0"),
        ("events-digits", {"time_steps": "0"}, r"time_steps must lie in 1\.\.10000, not 0"),
        ("events-digits", {"shift": 0}, r"shift must lie in 1\.\.64 pixels, not 0"),
        ("digits", {**RATE, "spike_seed": -1}, r"spike_seed must lie in 0\.\.4294967295, not -1"),
        ("digits", {**RATE, "low": 3, "high": 2}, "high must be above low, but they are 2 and 3"),
        ("digits", {"encode": "delta"}, "no axis of time whose changes delta could tell"),
        ("reverse", RATE, "samples of reverse are symbols, which no encoder takes"),
        ("events-digits", {"encode": "rate"}, "is digits before an event camera; for the encoder rate, name digits"),
        ("events-digits", {"threshold": 0}, r"threshold must lie in 0\.001\.\.4, not 0"),
        ("events-digits", {"shift": 65}, r"shift must lie in 1\.\.64 pixels, not 65"),
        ("events-digits", {"refractory": 301}, r"refractory must lie in 0\.\.300 ms, not 301"),
        ("events-digits", {"noise": -1}, r"noise must lie in 0\.\.1000 events a second, not -1"),
        ("events-digits", {"sensor": "large"}, "sensor must be like 64 or 48x64, 1 to 4096 pixels a side, not 'large'"),
        ("events-digits", {"size": 8}, "the data set events-digits has no data option 'size'"),
    ],
)
def test_what_is_no_encoding_is_said(name: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises((ConfigError, DataError), match=told):
        load_data(name, limit=4, options=options)


def test_samples_that_are_none_for_an_encoder_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "flat.npz", x=np.ones((8, 5), np.float32), y=np.arange(8) % 2)
    np.savez(tmp_path / "rows.npz", x=np.arange(80.0).reshape(8, 10), y=np.arange(8) % 2)
    with pytest.raises(DataError, match=r"all numbers of .*flat\.npz are 1, so there is nothing to encode"):
        load_data(str(tmp_path / "flat.npz"), options=RATE)
    with pytest.raises(DataError, match=r"an event camera sees images .* but samples of .*rows\.npz are \(10,\)"):
        load_data(str(tmp_path / "rows.npz"), options={"encode": "camera"})
    with pytest.raises(DataError, match=r"^125 GiB of frames of 4 samples of events-digits are more than the 64 GiB"):
        load_data("events-digits", options={"sensor": "4096", "time_steps": 8_000}, limit=4)
    assert MADE.keys() == {"digits", "reverse", "shapes"}


def test_a_picture_of_spikes_is_drawn(tmp_path: Path) -> None:
    for name, options in (("events-digits", {"time_steps": 1}), ("digits", RATE)):
        check_data(name, options, picture=tmp_path / "spikes.png")
        assert (tmp_path / "spikes.png").read_bytes().startswith(b"\x89PNG")
        (tmp_path / "spikes.png").unlink()


def test_what_still_comes_is_encoded_as_it_comes(tmp_path: Path) -> None:
    def sensor() -> Iterator[tuple[Any, str]]:
        for number in range(20):
            yield np.full(3, number / 19), ("rest", "walk")[number % 2]

    source = LiveSource(sensor, tmp_path / "record", count=20, classes=("rest", "walk"))
    with named_data(source, None) as (name, _):
        with pytest.raises(DataError, match="are still to come; say by the data options low and high how far they reach"):
            load_data(str(name), options=RATE)
        found = load_data(str(name), options={"encode": "latency", "time_steps": 4, "low": 0, "high": 1})
        assert found.train.arriving
        with pytest.raises(DataError, match=r"an event camera sees images .* and still to come"):
            load_data(str(name), options={"encode": "camera", "low": 0, "high": 1})
        x = found.train.inputs(np.arange(len(found.train)))
    assert x.shape == (16, 4, 3)
    first = (65536 - np.floor(np.delete(np.arange(20), [4, 9, 14, 19]) / 19 * 65536).astype(int)) * 4 // 65536
    assert np.array_equal(x[:, :, 0].argmax(1)[1:], first[1:])
    again = load_data(str(tmp_path / "record"), options={"encode": "latency", "time_steps": 4, "low": 0, "high": 1})
    assert np.array_equal(all_of(again.train), x)


def test_an_encoder_leaves_the_arguments_of_code_to_it(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\ndef readings(noise=0.0):\n"
        "    return [(np.array([index % 2, noise, index]), index % 2) for index in range(20)]\n"
    )
    name = f"{tmp_path / 'mine.py'}:readings"
    options = named_options(name, {**RATE, "noise": 7.0})
    found = load_data(name, options=options)
    assert found.train.input_shape == (4, 3)
    assert (found.options["arguments"], found.options["encode"]) == ({"noise": 7.0}, "rate")
    again = load_dataset(name, "test", options=recorded_options(None, found.options, None))
    assert np.array_equal(all_of(again), all_of(found.test))
