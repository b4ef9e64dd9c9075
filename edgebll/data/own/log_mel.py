"""Sound as people hear it: the logarithm of the power in bands of the mel scale, frame by frame. numpy alone."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Floats

Waves = npt.NDArray[np.float64]
#: Power below which all is silence.
_FLOOR = 1e-6


def read_wave(path: Path) -> tuple[Waves, int]:
    """A WAV file of whole numbers: samples in [-1, 1) (N,), channels averaged, and how many a second.

    Raises:
        Exception: of any kind, where it is damaged or none.
    """
    with wave.open(str(path), "rb") as sound:
        width, channels, rate = sound.getsampwidth(), sound.getnchannels(), sound.getframerate()
        data = sound.readframes(sound.getnframes())
    if len(data) < width * channels or rate < 1:
        raise ValueError("there is no sound in it")
    return _numbers(data[: len(data) // (width * channels) * width * channels], width).reshape(-1, channels).mean(1), rate


def wave_rate(path: Path) -> int:
    """Samples a second of a WAV file, from its head.

    Raises:
        Exception: of any kind, where it is none.
    """
    with wave.open(str(path), "rb") as sound:
        return int(sound.getframerate())


def log_mel(waves: Waves, rate: int, mels: int, frame: int, hop: int) -> Floats:
    """The log-mel spectrogram of a sound: a Hann window over each frame, its power spectrum, triangles in bands, the logarithm.

    Bands after O'Shaughnessy, Speech Communication (1987), p. 150: mel = 2595 log10(1 + Hz / 700).

    Args:
        waves: samples (N,) in [-1, 1).
        rate: samples a second.
        mels: bands from 0 Hz to half the rate.
        frame: samples of a frame.
        hop: samples from the beginning of a frame to that of the next.

    Returns:
        float32 (mels, frames), frames = 1 + (N - frame) // hop.
    """
    frames = np.lib.stride_tricks.sliding_window_view(waves, frame)[::hop]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame) / frame)
    size = 1 << (frame - 1).bit_length()
    power = np.abs(np.fft.rfft(frames * window, size)) ** 2
    return np.log(power @ mel_bands(rate, mels, size).T + _FLOOR).T.astype(np.float32)


def mel_bands(rate: int, mels: int, size: int) -> Waves:
    """Weights of each bin of a spectrum in each band: triangles (mels, size // 2 + 1) that meet at each other's peaks."""
    highest = 2595 * np.log10(1 + rate / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, highest, mels + 2) / 2595) - 1)
    bins = np.arange(size // 2 + 1) * rate / size
    rise = (bins - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    fall = (corners[2:, None] - bins) / (corners[2:] - corners[1:-1])[:, None]
    return np.maximum(0, np.minimum(rise, fall))


def _numbers(data: bytes, width: int) -> Waves:
    """Samples of `width` bytes, as WAV files have them: of one byte without a sign, else little-endian with one."""
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float64) - 128) / 128
    if width == 3:
        whole = np.zeros((len(data) // 3, 4), np.uint8)
        whole[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return whole.view("<i4")[:, 0] / 2.0**31
    return np.frombuffer(data, f"<i{width}") / 2.0 ** (8 * width - 1)
