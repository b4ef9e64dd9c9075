"""Choosing bytes: what the network sees, how draws follow from scores and seed, and what is refused."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from edgebll.data.texts.byte_network import ByteNetwork, sample_with
from edgebll.data.texts.byte_sampler import ByteSampler, Choosing
from edgebll.data.texts.shown_text import ShownText, shown
from edgebll.kernel.errors import ConfigError

ONE_HOT = ByteNetwork("float32", 4, 3)


def counting(x: Any) -> Any:
    """A network that foretells the number after each byte for certain."""
    assert x.shape == (3, 4, 256)
    return np.roll(x, 1, axis=-1) * 50


def scores(**shares: float) -> Any:
    """Scores whose shares are these; nearly nothing for all other bytes."""
    z = np.full(256, -50.0)
    for letter, share in shares.items():
        z[ord(letter)] = math.log(share)
    return z


def test_the_network_sees_the_last_bytes_and_is_asked_at_the_last_of_them() -> None:
    sampler = ByteSampler(Choosing(b"ab", 4), 4)
    seen = []
    while not sampler.done:
        window, position = sampler.window()
        seen.append((bytes(window), position))
        sampler.take(scores(**{"cdef"[sampler.chosen]: 1.0}))
    assert seen == [(b"ab\0\0", 1), (b"abc\0", 2), (b"abcd", 3), (b"bcde", 3)]
    assert bytes(sampler.text) == b"abcdef"


def test_a_text_is_computed_in_batches_of_the_networks_size() -> None:
    told: list[int] = []
    assert sample_with(counting, ONE_HOT, Choosing(b"a", 6), told.append) == b"abcdefg" == bytes(told)
    whole = ByteNetwork("int64", 4, 0).inputs(np.array([1, 2, 3, 4], np.uint8))
    assert (whole.dtype, whole.tolist()) == (np.int64, [[1, 2, 3, 4]])


@pytest.mark.parametrize(("temperature", "expected"), [(1.0, 0.2), (0.5, 0.04 / 0.68), (2.0, 1 / 3), (0.0, 0.0)])
def test_draws_have_the_shares_of_the_softmax(temperature: float, expected: float) -> None:
    """Shares 0.8 and 0.2 go with the power 1 / temperature: squared 0.64 and 0.04, as roots 2 to 1."""
    sampler = ByteSampler(Choosing(b"-", 4000, temperature, seed=1), 4)
    counts = Counter(chr(sampler.take(scores(a=0.8, b=0.2))) for _ in range(4000))
    assert counts["b"] / 4000 == pytest.approx(expected, abs=0.02)
    assert set(counts) <= {"a", "b"}


def test_the_seed_decides_the_text() -> None:
    def text(seed: int) -> bytes:
        sampler = ByteSampler(Choosing(b"-", 40, 1.0, seed), 4)
        while not sampler.done:
            sampler.take(scores(a=0.5, b=0.5))
        return bytes(sampler.text)

    assert text(3) == text(3) != text(4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": b""}, "the prompt must have at least one byte"),
        ({"count": 0}, "the number of bytes must be at least 1, not 0"),
        (
            {"temperature": -0.1},
            r"temperature must be at least 0 \(always the likeliest byte\) and less than 1000000, not -0.1",
        ),
        ({"temperature": math.nan}, "temperature must be"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_what_cannot_be_chosen_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Choosing(**{"prompt": b"a", **options})


@pytest.mark.parametrize("z", [np.full(256, np.nan), np.zeros(10)])
def test_scores_of_a_network_that_has_diverged_choose_nothing(z: Any) -> None:
    sampler = ByteSampler(Choosing(b"a", 4), 4)
    with pytest.raises(ConfigError, match="must give 256 finite scores for a byte; it has diverged"):
        sampler.take(z)
    assert not sampler.chosen


@pytest.mark.parametrize(
    ("dtype", "x", "output"),
    [
        ("float32", (1, 28, 28), (10,)),
        ("float32", (8, 256), (256,)),
        ("float32", (8, 100), (8, 256)),
        ("int64", (8,), (8, 100)),
        ("bool", (8,), (8, 256)),
        ("float32", (), ()),
    ],
)
def test_a_network_of_something_else_is_refused(dtype: str, x: tuple[int, ...], output: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"here foretells no bytes: it takes .* but must give 256 scores for each position"):
        ByteNetwork.of("here", dtype, x, output, 1)


def test_bytes_are_shown_so_that_no_terminal_acts_on_them() -> None:
    data = "gr\u00fcn\n\tend ".encode() + b"\xff\x80 \x1b[2J\x07\r \xe2\x82\xac \xc2\x9b \xe2\x80\xae"
    assert shown(data) == "gr\u00fcn\n\tend \\xff\\x80 \\x1b[2J\\x07\\r \u20ac \\x9b \\u202e"
    one_by_one = ShownText()
    parts = [one_by_one.add(bytes([byte])) for byte in data]
    assert "".join(parts) + one_by_one.add(b"", final=True) == shown(data)
    cut_off = ShownText()
    assert (cut_off.add(b"\xe2\x82"), cut_off.add(b"", final=True)) == ("", "\\xe2\\x82")
