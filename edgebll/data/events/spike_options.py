"""How samples of any data set become spikes: data options that stand beside those of the data, and are recorded with them.

They are told from others by `encode`, which names the encoder; data sets called events-... have it already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from edgebll.data.own.data_options import check_word, pixel_sides, read_options
from edgebll.kernel.errors import ConfigError

ENCODE = "encode"
CAMERA, RATE, LATENCY, DELTA = "camera", "rate", "latency", "delta"
#: Data sets seen by the event camera: the names they have then.
SEEN = {"events-digits": "digits", "events-fashion-mnist": "fashion-mnist"}
_STEPS, _MOST_STEPS = 10, 10_000
_MOST_NOISE = 1000.0


@dataclass(frozen=True)
class SpikeOptions:
    """Options of every encoder.

    Attributes:
        encode: its name.
        time_steps: of a sample; None for 10, or as many as a sample has for "delta".
        spike_seed: of what is drawn at random.
        low: the number that counts as none, or dark; with `high`, 0 and 0 for the smallest and largest training sample.
        high: the number that counts as most, or bright.

    Raises:
        ConfigError: one is out of range.
    """

    encode: str
    time_steps: int | None = None
    spike_seed: int = 0
    low: float = 0.0
    high: float = 0.0

    def __post_init__(self) -> None:
        check_word(ENCODE, self.encode, tuple(ENCODERS))
        if self.time_steps is not None and not 1 <= self.time_steps <= _MOST_STEPS:
            raise ConfigError(f"the data option time_steps must lie in 1..{_MOST_STEPS}, not {self.time_steps}")
        if not 0 <= self.spike_seed < 2**32:
            raise ConfigError(f"the data option spike_seed must lie in 0..{2**32 - 1}, not {self.spike_seed}")
        if not (self.high > self.low or self.high == self.low == 0):
            raise ConfigError(f"the data option high must be above low, but they are {self.high:g} and {self.low:g}")

    @property
    def ranged(self) -> bool:
        """Whether it is known how far the numbers reach."""
        return self.high > self.low

    @property
    def steps(self) -> int:
        """Time steps of a sample, where the sample does not say it."""
        return self.time_steps or _STEPS


@dataclass(frozen=True)
class DeltaOptions(SpikeOptions):
    """Options of the encoder of changes.

    Attributes:
        threshold: the change at which there is a spike, as a part of the range from low to high.
    """

    threshold: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.threshold <= 1:
            raise ConfigError(f"the data option threshold must be above 0 and at most 1, not {self.threshold:g}")


@dataclass(frozen=True)
class CameraOptions(SpikeOptions):
    """Options of the event camera.

    Attributes:
        threshold: the change of the natural logarithm of light at which there is an event.
        sensor: its pixels, "HEIGHTxWIDTH" or the one number of a square; empty for the image and what its moves need.
        shift: pixels that an image moves; None for a seventh of its longer side.
        refractory: milliseconds after an event in which a pixel is blind.
        noise: events of no cause, a pixel and second.
    """

    threshold: float = 0.2
    sensor: str = ""
    shift: int | None = None
    refractory: int = 0
    noise: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.001 <= self.threshold <= 4:
            raise ConfigError(f"the data option threshold must lie in 0.001..4, not {self.threshold:g}")
        if self.shift is not None and not 1 <= self.shift <= 64:
            raise ConfigError(f"the data option shift must lie in 1..64 pixels, not {self.shift}")
        if not 0 <= self.refractory <= 300:
            raise ConfigError(f"the data option refractory must lie in 0..300 ms, not {self.refractory}")
        if not 0 <= self.noise <= _MOST_NOISE:
            raise ConfigError(f"the data option noise must lie in 0..{_MOST_NOISE:g} events a second, not {self.noise:g}")
        if self.sensor:
            pixel_sides("sensor", self.sensor)


#: Options of each encoder.
ENCODERS: dict[str, type[SpikeOptions]] = {
    CAMERA: CameraOptions,
    RATE: SpikeOptions,
    LATENCY: SpikeOptions,
    DELTA: DeltaOptions,
}


def split_options(name: str, given: Mapping[str, Any] | None) -> tuple[dict[str, Any], SpikeOptions | None]:
    """Options of data and of the encoder of their samples.

    Args:
        name: of the data.
        given: both, by name.

    Returns:
        Those of the data, and those of the encoder; None where samples stay numbers.

    Raises:
        ConfigError: there is no such encoder, or a value is none.
    """
    options = dict(given or {})
    if name in SEEN and options.setdefault(ENCODE, CAMERA) != CAMERA:
        raise ConfigError(
            f"{name} is {SEEN[name]} before an event camera; for the encoder {options[ENCODE]}, name {SEEN[name]}"
        )
    if ENCODE not in options:
        return options, None
    check_word(ENCODE, str(options[ENCODE]), tuple(ENCODERS))
    spikes = read_options(ENCODERS[options[ENCODE]], f"the encoder {options[ENCODE]}", encoding_of(options))
    return without_encoding(options), spikes


def encoding_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Of options those that say how samples become spikes; none where nothing does."""
    kind = ENCODERS.get(str(options.get(ENCODE)))
    return {} if kind is None else {field.name: options[field.name] for field in fields(kind) if field.name in options}


def without_encoding(options: Mapping[str, Any]) -> dict[str, Any]:
    """The other options."""
    spikes = encoding_of(options)
    return {name: value for name, value in options.items() if name not in spikes}
