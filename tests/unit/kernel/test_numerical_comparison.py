"""The one comparison: relative to what a step changed, or within what rounding may do, and never otherwise."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from edgebll.kernel.state.numerical_comparison import MARGIN, Size, compare, compare_all, largest, movement

_TOLERANCE = 1e-4


def _weights(change: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Weights of magnitude 1 before and after a step that changes them by about `change`."""
    random = np.random.default_rng(seed)
    before = random.standard_normal(1000).astype(np.float32)
    return before, (before + change * random.standard_normal(1000)).astype(np.float32)


@pytest.mark.parametrize("change", [1e-1, 1e-2, 1e-3, 1e-4])
def test_one_percent_of_a_change_is_found_however_large_the_weights(change: float) -> None:
    before, after = _weights(change)
    wrong = (before + (after.astype(np.float64) - before) * 1.01).astype(np.float32)
    found = compare(wrong, after, _TOLERANCE, before=before)
    assert found.failed
    assert found.max_rel_error == pytest.approx(0.01, rel=0.2)
    assert compare(wrong, after, 1e-4).max_rel_error < 2e-2 * change  # what the weights alone would say


@pytest.mark.parametrize("change", [1e-1, 1e-3, 1e-6, 0.0])
def test_last_digits_of_new_weights_are_no_errors(change: float) -> None:
    """Each side rounds the product of rate and gradient, and the new weight."""
    before, after = _weights(change)
    step = before.astype(np.float64) - after
    other = (before * np.float32(1 - 1e-7) - step * (1 + 1e-7)).astype(np.float32)
    assert not compare(other, after, _TOLERANCE, before=before).failed


def test_a_tensor_that_must_not_change_must_not() -> None:
    before, _ = _weights(0.0)
    moved = before.copy()
    moved[3] *= np.float32(1 + 1e-5)
    assert compare(moved, before, 0.5, before=before).max_rel_error == np.inf
    assert compare(moved, before, 0.5, before=before).failed


def test_rounding_explains_what_it_reaches_and_no_more() -> None:
    noise = np.array([5e-9, -3e-9], np.float32)
    reach = movement(np.array([-4e-9, 2e-9], np.float32), noise)
    assert tuple(reach) == (pytest.approx(9e-9), pytest.approx(7e-9))
    assert compare(-noise, noise, _TOLERANCE).failed
    within = compare(-noise, noise, _TOLERANCE, reach=reach)
    assert (within.failed, within.by_rounding, within.elements_beyond) == (False, True, 2)
    assert compare(noise + np.float32(MARGIN * 1e-8), noise, _TOLERANCE, reach=reach).failed


def test_one_element_at_a_kink_hides_no_error_of_the_others() -> None:
    """The largest error may be rounding's; then the mean still tells."""
    expected = np.ones(1000, np.float32)
    turned = expected.copy()
    turned[0] = 1.5
    reach = movement(turned, expected)
    assert compare(turned, expected, _TOLERANCE, reach=reach).by_rounding
    assert compare(expected * np.float32(1.01), expected, _TOLERANCE, reach=reach).failed


def test_numbers_that_are_not_finite_are_equal_or_wrong() -> None:
    mask = np.array([-np.inf, 0.0, np.nan], np.float32)
    assert not compare(mask, mask.copy(), _TOLERANCE, before=mask).failed
    for other in ([np.inf, 0, np.nan], [-np.inf, 0, 1], [-1e30, 0, np.nan], [-np.inf, np.nan, np.nan]):
        found = compare(np.array(other, np.float32), mask, _TOLERANCE, before=mask, reach=Size(1e30, 1e30))
        assert (found.failed, found.max_rel_error) == (True, np.inf)


def test_moves_of_a_state_are_those_of_its_change() -> None:
    before, after = _weights(1e-3)
    shift = np.float32(1e-2)
    assert movement(after + shift, after, before=before, moved_before=before + shift).peak < 1e-6
    assert movement(after + shift, after, before=before, moved_before=before).peak == pytest.approx(1e-2, rel=1e-3)
    assert movement(np.full(2, np.nan, np.float32), np.zeros(2, np.float32)) == Size(0.0, 0.0)
    assert largest([Size(1.0, 0.5), Size(0.25, 2.0)]) == Size(1.0, 2.0)
    assert largest([]) == Size(0.0, 0.0)


def test_whole_numbers_are_compared_exactly() -> None:
    expected = np.array([1, 2, 3])
    assert not compare(expected.copy(), expected, 1.0).failed
    assert compare(np.array([1, 2, 4]), expected, 1.0).failed
    assert compare(expected.astype(np.int32), expected, 1.0).failed
    assert compare(expected[:2], expected, 1.0).failed
    turned = np.array([False, False, True])
    assert compare(np.array([1, 2, 4]), expected, 0.0, reach=turned).by_rounding
    assert compare(np.array([1, 1, 4]), expected, 0.0, reach=turned).failed


def test_rounding_is_asked_until_it_explains_what_is_beyond_the_tolerance() -> None:
    one = {"a": np.ones(3, np.float32), "b": np.ones(3, np.float32)}
    asked: list[float] = []

    def growing() -> Iterator[dict[str, Size]]:
        for limit in (0.1, 1.0, 10.0):
            asked.append(limit)
            yield {"a": Size(limit, limit)}

    assert not any(found.by_rounding for found in compare_all(one, one, _TOLERANCE, {}, growing()).values())
    assert asked == []
    found = compare_all({**one, "a": one["a"] * 2}, one, _TOLERANCE, {}, growing())
    assert (found["a"].by_rounding, found["b"].by_rounding, asked) == (True, False, [0.1, 1.0])
    assert compare_all({**one, "b": one["b"] * 2}, one, _TOLERANCE, {}, growing())["b"].failed
    assert asked == [0.1, 1.0, 0.1, 1.0, 10.0]
