"""Numbers as spikes: by rate, by the time of a first spike, by changes. Pure functions of a sample, its index and a seed.

Intensities are whole numbers, 0 for none and 65536 for most, so that spikes are the same on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Ints
from edgebll.data.events.counter_random import draws, sample_words

FULL = 65536
Spikes = npt.NDArray[np.bool_]


def intensities(samples: npt.NDArray[Any], low: float, high: float) -> Ints:
    """Numbers as intensities.

    Args:
        samples: of any shape.
        low: the number that is intensity 0; what is below it too.
        high: the number that is intensity 65536; what is above it too.

    Returns:
        int64, rounded down.
    """
    parts = (samples.astype(np.float64) - low) / (high - low)
    return np.floor(np.clip(parts, 0.0, 1.0) * FULL).astype(np.int64)


def rate_spikes(intensity: Ints, indices: Ints, time_steps: int, keys: tuple[int, ...]) -> Spikes:
    """A spike in each time step with the probability of the intensity, each drawn by itself.

    Args:
        intensity: of samples, (B, ...).
        indices: of the samples (B,).
        time_steps: T.
        keys: of the random numbers, e.g. seed and split.

    Returns:
        (B, T, ...).
    """
    values = intensity.reshape(len(intensity), 1, -1)
    drawn = draws(sample_words(keys, indices), time_steps * values.shape[-1]).reshape(len(values), time_steps, -1)
    return (drawn < values).reshape(len(values), time_steps, *intensity.shape[1:])


def latency_spikes(intensity: Ints, time_steps: int) -> Spikes:
    """One spike, the earlier the higher the intensity: the highest in the first time step, none for 0.

    Args:
        intensity: of samples, (B, ...).
        time_steps: T.

    Returns:
        (B, T, ...).
    """
    first = np.where(intensity > 0, (FULL - intensity) * time_steps // FULL, time_steps)
    return np.asarray(np.expand_dims(first, 1) == np.arange(time_steps).reshape(1, -1, *[1] * (intensity.ndim - 1)))


def delta_spikes(intensity: Ints, threshold: float) -> Spikes:
    """A spike where a value has changed enough since its last spike, or its beginning: the last axis is time.

    Args:
        intensity: of samples, (B, ..., T).
        threshold: the change, as a part of 65536.

    Returns:
        (B, T, 2, ...): what fell before what rose.
    """
    step = max(1, round(threshold * FULL))
    compared = intensity[..., 0]
    spikes = np.zeros((len(intensity), intensity.shape[-1], 2, *intensity.shape[1:-1]), np.bool_)
    for time in range(intensity.shape[-1]):
        now = intensity[..., time]
        spikes[:, time, 0], spikes[:, time, 1] = now - compared <= -step, now - compared >= step
        compared = np.where(spikes[:, time].any(1), now, compared)
    return spikes
