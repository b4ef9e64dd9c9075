"""Plain values to dataclasses: exactly the declared fields and types, anything else refused in one short sentence."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebll.kernel.support.plain_dataclasses import PlainError, from_plain, short, to_plain


@dataclass(frozen=True)
class Inner:
    name: str
    size: int | None = None


@dataclass(frozen=True)
class Outer:
    ratio: float
    data: bytes
    flag: bool
    inner: Inner
    many: tuple[Inner, ...] = ()
    table: dict[str, float] = field(default_factory=dict)
    free: Any = None


_INNER = st.builds(Inner, st.text(max_size=9), st.none() | st.integers())
_OUTER = st.builds(
    Outer,
    st.floats(allow_nan=False),
    st.binary(max_size=9),
    st.booleans(),
    _INNER,
    st.lists(_INNER, max_size=3).map(tuple),
    st.dictionaries(st.text(max_size=9), st.floats(allow_nan=False), max_size=3),
    st.none() | st.lists(st.integers(), max_size=3),
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=20,
)
_GOOD: dict[str, Any] = {"ratio": 1, "data": b"", "flag": True, "inner": {"name": "n"}}


@given(_OUTER)
def test_round_trip(value: Outer) -> None:
    assert from_plain(Outer, to_plain(value)) == value


@given(_JSON | st.dictionaries(st.sampled_from(["ratio", "data", "flag", "inner", "many", "table"]), _JSON))
def test_any_value_gives_the_dataclass_or_a_plain_error(value: Any) -> None:
    with contextlib.suppress(PlainError):
        assert isinstance(from_plain(Outer, value), Outer)


def test_a_float_field_takes_an_int_and_keeps_infinities() -> None:
    assert from_plain(Outer, _GOOD).ratio == 1.0
    assert isinstance(from_plain(Outer, _GOOD).ratio, float)
    assert from_plain(Outer, {**_GOOD, "ratio": float("-inf")}).ratio == float("-inf")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ratio": True}, r"doc\.ratio: expected float, got bool True"),
        ({"ratio": "1"}, r"doc\.ratio: expected float, got str '1'"),
        ({"ratio": 10**400}, "too large"),
        ({"flag": 1}, "expected bool"),
        ({"data": "text"}, "expected bytes"),
        ({"inner": []}, r"doc\.inner: expected a table"),
        ({"inner": {"name": "n", "size": False}}, r"doc\.inner\.size: expected int, got a truth value"),
        ({"inner": {"name": "n", "size": 1.0}}, "expected int"),
        ({"inner": {}}, r"doc\.inner: field 'name' is missing"),
        ({"many": {}}, r"doc\.many: expected a list"),
        ({"many": [{"name": "n"}, 5]}, r"doc\.many\[1\]: expected a table, got int 5"),
        ({"table": {"k": "v"}}, r"doc\.table\.k: expected float"),
        ({"table": {5: 1.0}}, "expected a text as key"),
        ({"table": {"k" * 9999: None}}, "expected float"),
        ({"more": 1}, "unknown field 'more'; known are ratio, data"),
        ({"m" * 9999: 1}, "unknown field 'mmm"),
        ({"ratio": "r" * 9999}, "expected float"),
        ({"ratio": json.loads("[" * 900 + "]" * 900)}, "expected float"),
    ],
)
def test_misfits_are_refused_in_one_short_sentence(change: dict[Any, Any], sentence: str) -> None:
    with pytest.raises(PlainError, match=sentence) as caught:
        from_plain(Outer, {**_GOOD, **change}, "doc")
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)


@given(_JSON)
def test_short_is_short(value: Any) -> None:
    assert len(short(value)) < 2000
