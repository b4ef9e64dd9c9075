"""A data set whose samples are spikes: encoded as they are asked for, or seen by the event camera once and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import FLOAT32, Dataset, Ints
from edgebll.data.events.camera import DURATION_US, LOOKS, EventCamera, frames_of
from edgebll.data.events.encoders import delta_spikes, intensities, latency_spikes, rate_spikes
from edgebll.data.events.spike_options import DELTA, RATE, CameraOptions, DeltaOptions, SpikeOptions
from edgebll.data.events.spike_rows import SpikeRows
from edgebll.data.events.stored_frames import StoredFrames, as_rows, check_kept, row_bytes
from edgebll.data.own.data_options import pixel_sides
from edgebll.data.own.decoded_cache import decoded_files
from edgebll.kernel.errors import DataError
from edgebll.kernel.limits import usable_cores

#: Of the random numbers: those of training and test samples differ.
_SPLITS = {"train": 0, "test": 1}
_IMAGE_AXES, _CHUNK = 3, 128
#: A version of what the camera does, in the key of what is kept.
_CAMERA = "camera 1"


def settled(options: SpikeOptions, train: Dataset) -> SpikeOptions:
    """Options with all that is found out.

    Args:
        options: of an encoder.
        train: the training set, by whose samples it is found out how far numbers reach; any part where the options say it.

    Raises:
        DataError: its samples are no numbers that can be encoded.
    """
    if train.symbols:
        raise DataError(f"samples of {train.name} are symbols, which no encoder takes; leave the data option encode out")
    if isinstance(getattr(train.samples, "base", None), StoredFrames):
        raise DataError(f"samples of {train.name} are events already; leave the data option encode out")
    options = _sized(options, train)
    if options.ranged:
        return options
    if train.arriving:
        raise DataError(f"samples of {train.name} are still to come; say by the data options low and high how far they reach")
    low, high = float(train.samples.min()), float(train.samples.max())
    if not high > low:
        raise DataError(f"all numbers of {train.name} are {low:g}, so there is nothing to encode; give other data")
    return replace(options, low=low, high=high)


def _sized(options: SpikeOptions, data: Dataset) -> SpikeOptions:
    """Options with time steps, and with what the camera has."""
    if isinstance(options, CameraOptions):
        camera = camera_of(options, _image_shape(data), (0, 0))
        sensor = options.sensor or f"{camera.height}x{camera.width}"
        return replace(options, time_steps=options.steps, shift=camera.shift, sensor=sensor)
    return replace(options, time_steps=_shape(data, options)[0])


def spiking(name: str, data: Dataset, split: str, options: SpikeOptions, tell: Callable[[str], None]) -> Dataset:
    """The same data set with spikes for samples, float32 (N, T, ...).

    Args:
        name: of the result.
        data: numbers: images (N, C, H, W), or (N, ...); with "delta" the last axis is time.
        split: "train" or "test"; their random numbers differ.
        options: of the encoder, settled.
        tell: takes a sentence before what may take long.

    Raises:
        DataError: the samples are none for the encoder.
    """
    keys, rows = (options.spike_seed, _SPLITS[split]), np.arange(len(data))
    here = data.samples.ready if data.arriving else None  # type: ignore[union-attr]  # rows that are gathered
    if isinstance(options, CameraOptions):
        samples = _filmed(name, data, options, keys, tell)
    else:
        shape = _shape(data, options)

        def make(indices: Ints) -> npt.NDArray[np.bool_]:
            levels = intensities(np.asarray(data.samples[indices]), options.low, options.high)
            return _encoded(levels, indices, options, keys).reshape(len(indices), *shape)

        samples = SpikeRows(make, shape, rows, here)
    return replace(data, name=name, samples=cast(Any, samples), table=None, dtype=FLOAT32)


def _encoded(levels: Ints, indices: Ints, options: SpikeOptions, keys: tuple[int, int]) -> npt.NDArray[np.bool_]:
    if isinstance(options, DeltaOptions):
        return delta_spikes(levels, options.threshold)
    if options.encode == RATE:
        return rate_spikes(levels, indices, options.steps, keys)
    return latency_spikes(levels, options.steps)


def _shape(data: Dataset, options: SpikeOptions) -> tuple[int, ...]:
    """Shape of a sample of spikes: images keep their axes, of all else there is a row a time step."""
    shape, steps = data.samples.shape[1:], options.steps
    if options.encode == DELTA:
        if data.table is not None or len(shape) < 2:
            raise DataError(
                f"samples of {data.name} are {shape}, with no axis of time whose changes delta could tell; encode them by "
                "rate or latency, or images by camera"
            )
        steps = shape[-1]
        if options.time_steps not in (None, steps):
            raise DataError(f"samples of {data.name} have {steps} time steps, not {options.time_steps}; leave time_steps out")
        shape = (2, *shape[:-1])
    return (steps, *shape) if len(shape) == _IMAGE_AXES else (steps, int(np.prod(shape)))


def _filmed(name: str, data: Dataset, options: CameraOptions, keys: tuple[int, int], tell: Callable[[str], None]) -> SpikeRows:
    """What the event camera sees of images, as bits that are kept."""
    shape = _image_shape(data)
    camera, steps = camera_of(options, shape, keys), options.steps
    frame = (steps, 2, camera.height, camera.width)
    check_kept(name, len(data), frame)

    def film(start: int) -> npt.NDArray[np.uint8]:
        rows = np.arange(start, min(start + _CHUNK, len(data)))
        light = intensities(np.asarray(data.samples[rows]), options.low, options.high)
        frames = frames_of(camera.changes(light.sum(1) // shape[0], rows), steps)
        return as_rows(frames)

    def films() -> Iterator[npt.NDArray[np.uint8]]:
        tell(f"an event camera looks at {len(data)} samples of {name}, once; its events are kept for later")
        cores = usable_cores()
        with ThreadPoolExecutor(cores) as pool:
            for first in range(0, len(data), _CHUNK * cores):
                for part in pool.map(film, range(first, min(first + _CHUNK * cores, len(data)), _CHUNK)):
                    yield from part

    recipe = {"camera": _CAMERA, "digest": _digest(data), "low": options.low, "high": options.high, "steps": steps}
    shape_kept = (len(data), row_bytes(frame))
    kept = StoredFrames(decoded_files(recipe | asdict(camera), shape_kept, "uint8", films).array, frame)
    return SpikeRows(kept.__getitem__, frame, np.arange(len(data)))


def _image_shape(data: Dataset) -> tuple[int, ...]:
    shape = tuple(data.samples.shape[1:])
    if len(shape) != _IMAGE_AXES or data.arriving:
        raise DataError(
            f"an event camera sees images (channels, height, width) that are there, but samples of {data.name} are "
            f"{shape}{' and still to come' if data.arriving else ''}; encode them by rate or latency"
        )
    return shape


def camera_of(options: CameraOptions, shape: tuple[int, ...], keys: tuple[int, ...]) -> EventCamera:
    """The camera of some options.

    Args:
        options: of it.
        shape: of an image, (channels, height, width).
        keys: of its random numbers.
    """
    shift = options.shift or -(-max(shape[1:]) // 7)
    height, width = (side + 2 * (shift // 2 + 1) for side in shape[1:])
    if options.sensor:
        height, width = pixel_sides("sensor", options.sensor)
    looks = max(LOOKS, options.steps)
    blind = -(-options.refractory * 1000 * looks // DURATION_US)
    return EventCamera(height, width, shift, options.threshold, looks, blind, options.noise, keys)


def _digest(data: Dataset) -> str:
    """SHA-256 of the samples as they are stored."""
    digest = hashlib.sha256(f"{data.samples.dtype} {data.samples.shape[1:]}".encode())
    for start in range(0, len(data), _CHUNK):
        digest.update(np.asarray(data.samples[np.arange(start, min(start + _CHUNK, len(data)))]).tobytes())
    return digest.hexdigest()
