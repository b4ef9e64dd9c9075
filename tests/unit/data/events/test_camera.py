"""The event camera against a pixel-by-pixel loop, and what it must do by its nature."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import pytest
from support.plain_draws import drawn

from edgebll.data import load_dataset
from edgebll.data.events.binning import as_bytes, counted
from edgebll.data.events.camera import DURATION_US, EventCamera, events_of, frames_of, light_levels

Array = np.ndarray[Any, Any]
KEYS = (3, 1)


def path(camera: EventCamera, index: int) -> list[tuple[int, int]]:
    """Where the sensor's corner is before the first look and at each, in 1/8 pixels."""
    whole = 8 * camera.shift
    inward = [drawn((*camera.keys, 1), index, place) * (whole // 4 + 1) >> 16 for place in range(6)]
    a = (inward[0], inward[1])
    b = (whole - inward[2], whole // 2 + inward[3])
    c = (inward[4], whole - inward[5])
    corners, found = [a, b, c, a], []
    for look in range(camera.looks + 1):
        side = min(3 * look // camera.looks, 2)
        part = 3 * look - side * camera.looks
        (y0, x0), (y1, x1) = corners[side], corners[side + 1]
        found.append((y0 + (y1 - y0) * part // camera.looks, x0 + (x1 - x0) * part // camera.looks))
    return found


def naive(camera: EventCamera, light: Array, index: int) -> Array:
    """What one image gives, pixel by pixel."""
    high, wide = light.shape
    top, left = (camera.height + camera.shift - high) // 2, (camera.width + camera.shift - wide) // 2

    def level(y: int, x: int) -> int:
        inside = top <= y < top + high and left <= x < left + wide
        part = int(light[y - top, x - left]) >> 8 if inside else 0
        return math.floor(64 * math.log2((part + 16) / 16) + 1e-9)

    def seen(y: int, x: int, at: tuple[int, int]) -> int:
        (row, down), (column, right) = divmod(at[0], 8), divmod(at[1], 8)
        corners = [[level(y + row + i, x + column + j) for j in (0, 1)] for i in (0, 1)]
        rows = [corners[0][j] * (8 - down) + corners[1][j] * down for j in (0, 1)]
        return rows[0] * (8 - right) + rows[1] * right

    step = round(camera.threshold / math.log(2) * 4096)
    places, result = path(camera, index), np.zeros((camera.looks, camera.height, camera.width), np.int8)
    for y in range(camera.height):
        for x in range(camera.width):
            compared, blind = seen(y, x, places[0]), 0
            for look in range(camera.looks):
                now = seen(y, x, places[look + 1])
                if blind:
                    compared, blind = now, blind - 1
                elif abs(now - compared) >= step:
                    result[look, y, x] = 1 if now > compared else -1
                    compared, blind = now, camera.refractory
    return result


@pytest.mark.parametrize("refractory", [0, 2])
def test_it_equals_a_loop_over_pixels(refractory: int) -> None:
    camera = EventCamera(7, 6, shift=3, threshold=0.25, looks=9, refractory=refractory, keys=KEYS)
    light = np.random.default_rng(0).integers(0, 65537, (3, 5, 4))
    indices = np.array([4, 0, 2**40])
    found = camera.changes(light, indices)
    expected = np.stack([naive(camera, image, index) for image, index in zip(light, indices.tolist(), strict=True)])
    assert np.array_equal(found, expected)
    assert {-1, 0, 1} == set(np.unique(found))


def test_the_logarithm_of_light_is_that_of_mathematics() -> None:
    exact = [64 * math.log2((part + 16) / 16) for part in range(257)]
    assert all(0 <= value - level < 1 + 1e-9 for value, level in zip(exact, light_levels().tolist(), strict=True))
    assert light_levels()[[0, 16, 48, 240]].tolist() == [0, 64, 128, 256]


def test_nothing_is_seen_where_nothing_changes_but_noise() -> None:
    dark = np.zeros((50, 8, 8), np.int64)
    assert not EventCamera(12, 12, 2, 0.2, keys=KEYS).changes(dark, np.arange(50)).any()
    noisy = EventCamera(12, 12, 2, 0.2, noise=5.0, keys=KEYS).changes(dark, np.arange(50))
    expected = 50 * 144 * 0.3 * 5
    assert abs(np.count_nonzero(noisy) - expected) < 5 * math.sqrt(expected)
    assert abs(int(noisy.sum())) < 5 * math.sqrt(expected)


def test_the_events_of_a_sample_do_not_depend_on_its_batch() -> None:
    camera = EventCamera(12, 12, 2, 0.2, noise=1.0, keys=KEYS)
    light = np.random.default_rng(1).integers(0, 65537, (20, 8, 8))
    whole = camera.changes(light, np.arange(20))
    order = np.random.default_rng(2).permutation(20)
    assert np.array_equal(camera.changes(light[order], order), whole[order])
    other = EventCamera(12, 12, 2, 0.2, noise=1.0, keys=(4, 1)).changes(light, np.arange(20))
    assert (other != whole).reshape(20, -1).any(1).all()


def test_a_larger_image_is_cut_and_a_brighter_edge_rises() -> None:
    camera = EventCamera(4, 4, 2, 0.2, keys=KEYS)
    assert camera.changes(np.full((1, 20, 20), 65536), np.arange(1)).any() == np.False_
    half = np.zeros((1, 20, 20), np.int64)
    half[:, :, 10:] = 65536
    seen = camera.changes(half, np.arange(1))[0]
    (_, _, columns) = np.nonzero(seen)
    assert set(columns.tolist()) <= {1, 2, 3}
    assert (seen > 0).any()
    assert (seen < 0).any()


def test_frames_are_the_events_put_into_time_steps() -> None:
    camera = EventCamera(9, 8, 3, 0.15, keys=KEYS)
    changes = camera.changes(np.random.default_rng(3).integers(0, 65537, (2, 6, 6)), np.arange(2))
    for time_steps in (1, 7, 10, 30):
        frames = frames_of(changes, time_steps)
        for sample in range(2):
            events = events_of(changes[sample])
            steps = (events.t * 30 // DURATION_US) * time_steps // 30
            expected = as_bytes(counted(events, steps, time_steps, 9, 8))
            assert np.array_equal(frames[sample], expected > 0)
            assert expected.sum() == np.count_nonzero(changes[sample])


def test_events_of_digits_are_these_bytes_on_every_machine() -> None:
    test = load_dataset("events-digits", "test")
    x = test.inputs(np.arange(len(test)))
    assert x.shape == (360, 10, 2, 12, 12)
    assert set(np.unique(x)) == {0.0, 1.0}
    assert hashlib.sha256(x.astype(np.uint8).tobytes()).hexdigest() == DIGEST
    noisy = load_dataset("events-digits", "test", limit=5, options={"noise": 2, "refractory": 20, "spike_seed": 9})
    assert hashlib.sha256(noisy.inputs(np.arange(5)).astype(np.uint8).tobytes()).hexdigest() == NOISY


#: Of what was seen first, of the samples as bytes.
DIGEST = "d1015839d3c328b289ccef1af1e4919a1d49a66c5bcd78c9136ad4eabcee80fb"
NOISY = "f49c74a522a774cf6e7a4e7c2a2f38c46f17bf8d34af848207787c0921fd8694"
