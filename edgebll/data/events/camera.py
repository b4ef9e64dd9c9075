"""A synthetic event camera: three saccades over an image, and an event wherever the light of a pixel has changed enough.

As N-MNIST was recorded (Orchard et al. 2015), the image moves along a small triangle in 300 ms, a side in 100 ms; here the
corners of each sample differ a little, by a seed. A pixel compares the logarithm of its light with that at its last event
(Lichtsteiner et al. 2008): where it differs by the threshold, there is an event, and the pixel compares with the light of then.
It looks every 10 ms, or as often as there are time steps.

All of it is whole numbers, so events are the same on every machine: light 0..65536, its logarithm in 1/64 octaves, places in
1/8 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Ints
from edgebll.data.events.binning import Events
from edgebll.data.events.counter_random import draws, sample_words

#: Microseconds of the whole path, and looks at the light on it unless there are more time steps.
DURATION_US, LOOKS = 300_000, 30
_FRACTIONS, _OCTAVE = 8, 64
_AMBIENT = 16
_LN2 = 0.6931471805599453
_CORNERS = 3
#: Streams of random numbers.
_OF_PATH, _OF_NOISE = 1, 2
Levels = npt.NDArray[np.int16]
Changes = npt.NDArray[np.int8]


def light_levels() -> Levels:
    """The logarithm of light: of 0..256 parts, floor(64 log2((light + 16) / 16)), in exact whole numbers, int16 (257,)."""
    return np.array([((part + _AMBIENT) ** _OCTAVE).bit_length() - 1 - 4 * _OCTAVE for part in range(257)], np.int16)


@dataclass(frozen=True)
class EventCamera:
    """A camera and how images move before it.

    Attributes:
        height: rows of the sensor.
        width: its columns.
        shift: pixels that an image moves, at most.
        threshold: of the natural logarithm of light, at which there is an event.
        looks: how often in a path a pixel looks at its light.
        refractory: looks after an event at which a pixel is blind.
        noise: events of no cause of a pixel in a second, on average.
        keys: of the random numbers, seed and split.
    """

    height: int
    width: int
    shift: int
    threshold: float
    looks: int = LOOKS
    refractory: int = 0
    noise: float = 0.0
    keys: tuple[int, ...] = (0, 0)

    def changes(self, light: Ints, indices: Ints) -> Changes:
        """What the pixels tell at each look.

        Args:
            light: of images, int64 (B, H, W), 0..65536.
            indices: of the samples, int64 (B,).

        Returns:
            int8 (B, looks, height, width): 1 became brighter, -1 darker, 0 no event.
        """
        count = len(light)
        path, canvas = self._path(indices), self._canvas(light)
        step = max(1, round(self.threshold / _LN2 * _OCTAVE * _FRACTIONS**2))
        found = np.zeros((count, self.looks, self.height, self.width), np.int8)
        compared = self._seen(canvas, path[:, 0])
        blind = np.zeros(compared.shape, np.int8)
        for look in range(self.looks):
            level = self._seen(canvas, path[:, look + 1])
            change = level - compared
            brighter, darker = change >= step, change <= -step
            if self.refractory:
                brighter, darker, held = brighter & (blind == 0), darker & (blind == 0), blind > 0
                blind = np.where(brighter | darker, np.int8(self.refractory), np.maximum(blind - 1, 0).astype(np.int8))
                np.copyto(compared, level, where=held)
            np.copyto(compared, level, where=brighter | darker)
            np.subtract(brighter, darker, out=found[:, look], dtype=np.int8)
        return self._with_noise(found, indices) if self.noise else found

    def _path(self, indices: Ints) -> Ints:
        """Where the sensor's corner is on the canvas before the first look and at each, in 1/8 pixels: (B, looks + 1, 2)."""
        whole = self.shift * _FRACTIONS
        drawn = draws(sample_words((*self.keys, _OF_PATH), indices), 2 * _CORNERS).reshape(-1, _CORNERS, 2).astype(np.int64)
        ideal = np.array([(0, 0), (whole, whole // 2), (0, whole)])  # a triangle in a square of `shift` pixels
        inward = np.array([(1, 1), (-1, 1), (1, -1)]) * (drawn * (whole // 4 + 1) >> 16)
        corners = np.concatenate([ideal + inward, (ideal + inward)[:, :1]], axis=1)
        at = np.arange(self.looks + 1) * _CORNERS
        side, part = np.minimum(at // self.looks, _CORNERS - 1), at - np.minimum(at // self.looks, _CORNERS - 1) * self.looks
        moved = (corners[:, side + 1] - corners[:, side]) * part[:, None]
        return np.asarray(corners[:, side] + moved // self.looks)

    def _canvas(self, light: Ints) -> Levels:
        """Logarithms of light about the images, in darkness: (B, height + shift + 1, width + shift + 1)."""
        levels = light_levels()[light >> 8]
        rows, columns = self.height + self.shift + 1, self.width + self.shift + 1
        canvas = np.zeros((len(light), rows, columns), np.int16)
        (top, above, high), (left, before, wide) = (
            _centred(inner, outer) for inner, outer in ((light.shape[1], rows - 1), (light.shape[2], columns - 1))
        )
        canvas[:, top : top + high, left : left + wide] = levels[:, above : above + high, before : before + wide]
        return canvas

    def _seen(self, canvas: Levels, corner: Ints) -> Levels:
        """The light of each pixel where the sensor's corner is at (B, 2): between four places of the canvas, in 1/64 levels."""
        windows = np.lib.stride_tricks.sliding_window_view(canvas, (self.height + 1, self.width + 1), axis=(1, 2))
        whole, part = corner // _FRACTIONS, (corner % _FRACTIONS).astype(np.int16)
        near = windows[np.arange(len(canvas)), whole[:, 0], whole[:, 1]]
        down, right = part[:, 0, None, None], part[:, 1, None, None]
        rows = near[:, :-1] * (np.int16(_FRACTIONS) - down) + near[:, 1:] * down
        return np.asarray(rows[:, :, :-1] * (np.int16(_FRACTIONS) - right) + rows[:, :, 1:] * right)

    def _with_noise(self, found: Changes, indices: Ints) -> Changes:
        pixels = found[0].size
        least = round(self.noise * DURATION_US / 1_000_000 / self.looks * 65536)
        drawn = draws(sample_words((*self.keys, _OF_NOISE), indices), pixels).reshape(found.shape)
        return np.where((found == 0) & (drawn < least), np.where(drawn & 1, np.int8(1), np.int8(-1)), found)


def _centred(inner: int, outer: int) -> tuple[int, int, int]:
    """Where something lies in the middle of what is larger: its place there, what is cut off before, and how much is left."""
    size = min(inner, outer)
    return (outer - size) // 2, (inner - size) // 2, size


def frames_of(changes: Changes, time_steps: int) -> npt.NDArray[np.bool_]:
    """Whether each pixel had an event in a time step: bool (B, time_steps, 2, height, width), darker before brighter."""
    count, looks, height, width = changes.shape
    frames = np.zeros((count, time_steps, 2, height, width), np.bool_)
    for look in range(looks):
        step = look * time_steps // looks
        frames[:, step, 0] |= changes[:, look] < 0
        frames[:, step, 1] |= changes[:, look] > 0
    return frames


def events_of(changes: Changes) -> Events:
    """The events of one sample.

    Args:
        changes: int8 (looks, height, width), see `EventCamera.changes`.

    Returns:
        In the order of look, row and column; each at the beginning of its look's share of the path.
    """
    look, y, x = np.nonzero(changes)
    return Events(look * DURATION_US // len(changes), x, y, (changes[look, y, x] > 0).astype(np.int64))
