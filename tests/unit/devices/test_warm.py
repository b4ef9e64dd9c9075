"""Runtimes between two incarnations: taken up for exactly what they were loaded for, and freed otherwise."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest

from edgebll_devices.runtimes import BlockRuntime
from edgebll_devices.session.runtime_pool import KEEP_S, Loaded, RuntimePool

LOADED = Loaded("run", "0" * 64, "block0", "onnxruntime", 1)


class Runtime:
    closed = 0

    def close(self) -> None:
        self.closed += 1


def put(warm: RuntimePool, loaded: Loaded = LOADED) -> Runtime:
    runtime = Runtime()
    warm.put(loaded, cast(BlockRuntime, runtime))
    return runtime


@pytest.fixture
def warm() -> Iterator[RuntimePool]:
    warm = RuntimePool()
    yield warm
    warm.close()


@pytest.mark.parametrize(
    "other",
    [{"run": "next"}, {"manifest_sha256": "1" * 64}, {"block": "block1"}, {"runtime": "reference"}, {"threads": 2}],
)
def test_it_is_given_for_exactly_the_same(warm: RuntimePool, other: dict[str, object]) -> None:
    runtime = put(warm)
    assert warm.take(replace(LOADED, **other)) is None  # type: ignore[arg-type]
    assert warm.take(LOADED) is cast(BlockRuntime, runtime)
    assert warm.take(LOADED) is None, "it has an owner now"
    warm.close()
    assert not runtime.closed


def test_what_is_not_wanted_is_freed(warm: RuntimePool) -> None:
    other = replace(LOADED, block="block1")
    kept, freed = put(warm), put(warm, other)
    warm.keep_only([LOADED])
    assert (kept.closed, freed.closed) == (0, 1)
    assert warm.take(other) is None


def test_what_nobody_takes_up_is_freed_in_a_while(warm: RuntimePool) -> None:
    runtime, now_s = put(warm), time.monotonic()
    warm.expire(now_s + 0.9 * KEEP_S)
    assert not runtime.closed
    warm.expire(now_s + 1.1 * KEEP_S)
    assert runtime.closed == 1
    assert warm.take(LOADED) is None


def test_a_second_one_and_one_after_the_end_are_freed_at_once(warm: RuntimePool) -> None:
    first, second = put(warm), put(warm)
    assert (first.closed, second.closed) == (0, 1)
    warm.close()
    late = put(warm)
    assert (first.closed, late.closed) == (1, 1)
