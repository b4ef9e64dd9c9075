"""Folders of WAV files: spectrograms as the formula has them, crops of one length, and files that are none."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from edgebll.data import load_data
from edgebll.data.own.log_mel import log_mel, read_wave
from edgebll.kernel.errors import ConfigError, DataError

RATE = 800


def write_wave(path: Path, values: np.ndarray, width: int = 2, rate: int = RATE) -> None:
    """Values in [-1, 1) (N,) or (N, channels), written out byte by byte."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = values[:, None] if values.ndim == 1 else values
    whole = [round(float(value) * 2 ** (8 * width - 1)) + (128 if width == 1 else 0) for value in values.ravel()]
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(values.shape[1])
        sound.setsampwidth(width)
        sound.setframerate(rate)
        sound.writeframes(b"".join(value.to_bytes(width, "little", signed=width > 1) for value in whole))


def tone(hertz: float, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def write_tones(folder: Path, count: int = 10, seconds: float = 1.0) -> Path:
    for name, hertz in (("high", 300.0), ("low", 50.0)):
        for index in range(count):
            write_wave(folder / name / f"{index}.wav", tone(hertz + index, seconds))
    return folder


def naive_log_mel(waves: np.ndarray, mels: int, frame: int, hop: int) -> np.ndarray:
    """The formula written out: every sum a loop."""
    size = 1
    while size < frame:
        size *= 2
    mel_to_hz = [700 * (10 ** (i / (mels + 1) * np.log10(1 + RATE / 1400)) - 1) for i in range(mels + 2)]
    rows = []
    for start in range(0, len(waves) - frame + 1, hop):
        windowed = [waves[start + n] * (1 - np.cos(2 * np.pi * n / frame)) / 2 for n in range(frame)]
        power = [
            abs(sum(w * np.exp(-2j * np.pi * k * n / size) for n, w in enumerate(windowed))) ** 2 for k in range(size // 2 + 1)
        ]
        row = []
        for low, peak, high in zip(mel_to_hz, mel_to_hz[1:], mel_to_hz[2:], strict=False):
            total = 0.0
            for k, strength in enumerate(power):
                hz = k * RATE / size
                if low < hz <= peak:
                    total += strength * (hz - low) / (peak - low)
                elif peak < hz < high:
                    total += strength * (high - hz) / (high - peak)
            row.append(np.log(total + 1e-6))
        rows.append(row)
    return np.array(rows).T


def test_spectrograms_are_those_of_the_formula() -> None:
    waves = np.random.default_rng(0).uniform(-1, 1, 100)
    found = log_mel(waves, RATE, mels=6, frame=20, hop=8)
    assert found.dtype == np.float32
    assert np.allclose(found, naive_log_mel(waves, 6, 20, 8), atol=1e-5)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_samples_of_all_widths_are_read(width: int, tmp_path: Path) -> None:
    values = np.array([0.5, -0.5, 0.25, -1.0, 0.0])
    write_wave(tmp_path / "a.wav", values, width)
    assert np.array_equal(read_wave(tmp_path / "a.wav")[0], values)
    write_wave(tmp_path / "b.wav", np.stack([values, np.zeros(5)], 1), width)
    assert np.array_equal(read_wave(tmp_path / "b.wav")[0], values / 2)


def test_each_sound_is_a_spectrogram_of_its_class(tmp_path: Path) -> None:
    options: dict[str, object] = {"mels": 8, "normalize": "no"}
    data = load_data(str(write_tones(tmp_path / "tones")), options=options)
    assert (len(data.train), len(data.test), data.train.input_shape) == (16, 4, (1, 8, 98))
    x = data.train.inputs(np.arange(16))
    loudest = x[:, 0].mean(2).argmax(1)
    assert {int(band) for band in loudest[data.train.labels == 0]} <= {5, 6, 7}
    assert {int(band) for band in loudest[data.train.labels == 1]} <= {0, 1, 2}
    first = log_mel(read_wave(tmp_path / "tones" / "high" / "0.wav")[0], RATE, 8, 20, 8)
    assert any(np.array_equal(image[0], first) for part in data.splits for image in part.inputs(np.arange(len(part))))


def test_crops_are_seeded_and_held_out_with_their_file(tmp_path: Path) -> None:
    folder = str(write_tones(tmp_path / "tones", 5, 2.0))
    options: dict[str, object] = {"crops": 4, "seconds": 0.2, "mels": 4, "normalize": "no"}
    data = load_data(folder, options=options)
    assert [len(part) for part in data.splits] == [32, 8]
    again, other = load_data(folder, options=options), load_data(folder, options={**options, "split_seed": 1})
    x = [found.test.inputs(np.arange(8)) for found in (data, again, other)]
    assert np.array_equal(x[0], x[1])
    assert not np.array_equal(x[0], x[2])
    assert len({image.tobytes() for image in x[0]}) > 4  # tones repeat themselves
    assert np.bincount(data.test.labels).tolist() == [4, 4]


def test_short_sounds_end_in_silence(tmp_path: Path) -> None:
    data = load_data(str(write_tones(tmp_path / "tones", 2, 0.5)), options={"mels": 4, "normalize": "no"})
    assert np.allclose(data.train.inputs(np.arange(2))[:, 0, :, 60:], np.log(1e-6))


def test_files_that_are_no_such_sound_are_left_out_and_named(tmp_path: Path) -> None:
    folder = write_tones(tmp_path / "tones")
    (folder / "low" / "1.wav").write_bytes(b"RIFF nothing")
    write_wave(folder / "low" / "2.wav", tone(50, rate=400), rate=400)
    write_wave(folder / "low" / "3.wav", np.zeros(0))
    told: list[str] = []
    data = load_data(str(folder), tell=told.append)
    assert len(data.train) + len(data.test) == 17
    assert any("3 files are left out" in text and "low/1.wav" in text for text in told)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"seconds": 0}, "seconds must be above 0"),
        ({"mels": -1}, "mels must be above 0"),
        ({"seconds": 0.01}, "a frame of 25 ms is longer than the sample"),
        (
            {"rate": 400},
            r"not one file of the class high can be read, e\.g\. high/0\.wav: it has 800 samples a second, not 400",
        ),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], reason: str, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, DataError), match=reason):
        load_data(str(write_tones(tmp_path / "tones", 2)), options=options)
