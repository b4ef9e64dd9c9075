"""What two sides that pair write to each other, and codes and names that people type."""

from __future__ import annotations

import dataclasses
import json

import pytest

from edgebll.kernel.errors import ConfigError, WireError
from edgebll.kernel.keys import make_key_pair
from edgebll.kernel.pairing.code_exchange import (
    HOST,
    MAX_LINE_BYTES,
    Confirmation,
    Side,
    check_code,
    check_name,
    decode_confirmation,
    decode_opening,
    encode_line,
    new_code,
)

CODE = "271828"


def host_side(code: str = CODE) -> Side:
    return Side(HOST, code, make_key_pair().public, "laptop")


_EVIL = make_key_pair().public
_OPENING = {"version": 1, "element": "00" * 33, "public_key": _EVIL, "name": "n"}
_CHANGES: list[dict[str, object]] = [
    {"version": 2},
    {"element": "00"},
    {"element": "ZZ" * 33},
    {"public_key": "x"},
    {"name": "a\nb"},
]
_CHANGES += [{"name": ""}, {"name": "n" * 64}, {"port": -1}, {"port": 65536}, {"more": 1}]
_LINES = [b"", b"[]", b"null", b"{", b"\xff", b"x" * (MAX_LINE_BYTES + 1), b"[" * 1000]
_LINES += [json.dumps({**_OPENING, **change}).encode() for change in _CHANGES]


@pytest.mark.parametrize("line", _LINES)
def test_lines_that_are_none_are_refused(line: bytes) -> None:
    with pytest.raises(WireError) as caught:
        decode_opening(line)
    assert "\n" not in str(caught.value)
    with pytest.raises(WireError):
        decode_confirmation(line)


def test_lines_are_read_back() -> None:
    opening = host_side().opening
    assert decode_opening(encode_line(opening)) == opening
    assert len(encode_line(dataclasses.replace(opening, name="n" * 63, port=65535))) < MAX_LINE_BYTES // 2
    assert decode_confirmation(encode_line(Confirmation("00"))) == Confirmation("00")


def test_codes_are_six_digits_of_all_kinds() -> None:
    codes = {new_code() for _ in range(200)}
    assert len(codes) > 190
    assert all(check_code(code) == code for code in codes)
    assert check_code("123 456") == check_code("123-456") == "123456"
    for wrong in ("", "12345", "1234567", "12345a", "\u0661\u0661\u0661\u0661\u0661\u0661"):
        with pytest.raises(ConfigError, match="6 digits"):
            check_code(wrong)


@pytest.mark.parametrize("name", ["", ".", "-x", "a b", "a\n", 'a"', "a/b", "n" * 64, "\u00e9"])
def test_names_that_could_be_more_than_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="a name must be"):
        check_name(name)
