"""A manifest, whatever is in it, is read or refused in one sentence."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiny_bundle import make_tiny_bundle

from edgebll.kernel.bundle import Bundle, parse_manifest
from edgebll.kernel.errors import BundleError


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


def test_damage_to_any_byte_of_the_manifest_gives_a_manifest_or_one_sentence(bundle: Bundle) -> None:
    text = (bundle.path / "manifest.json").read_bytes().rstrip()
    for position in range(len(text)):
        for flip in (0x01, 0x10, 0x80):
            damaged = bytearray(text)
            damaged[position] ^= flip
            with contextlib.suppress(BundleError):
                parse_manifest(bytes(damaged), "here")
        with pytest.raises(BundleError) as caught:
            parse_manifest(text[:position], "here")
        assert "\n" not in str(caught.value)


def _document(bundle: Bundle) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((bundle.path / "manifest.json").read_text())
    return document


_CHANGES = {
    "another version": (["format_version"], 2, "format version 2, this edgebll reads 1"),
    "a truth value as version": (["format_version"], True, "format version True"),
    "no version": (["format_version"], None, "format version None"),
    "no blocks": (["blocks"], [], "blocks with different names"),
    "an unsafe file": (["files", "../../etc/passwd.txt"], {"sha256": "0" * 64, "size_bytes": 0}, "not a plain path inside"),
    "an absolute file": (["files", "/etc/passwd"], {"sha256": "0" * 64, "size_bytes": 0}, "not a plain path inside"),
    "an unknown field": (["colour"], "red", "unknown field 'colour'"),
    "a block with a path as name": (["blocks", 0, "name"], "../x", "short lower-case identifier"),
    "a block called host": (["blocks", 0, "name"], "host", "identifier other than 'host'"),
    "two blocks of a name": (["blocks", 0, "name"], "block1", "different names"),
    "an unknown dtype": (["blocks", 0, "input", "dtype"], "float64", "dtype 'float64'; known are"),
    "a negative size": (["blocks", 0, "input", "shape"], [-1], "sizes of 0 or more"),
    "a huge size": (["blocks", 0, "input", "shape"], [0, 1 << 70], "the cap is"),
    "a size that is no int": (["blocks", 0, "input", "shape"], [1.5], "expected int, got float"),
    "a nameless tensor": (["blocks", 0, "state", 0, "name"], "", "1 to 200 characters"),
    "an overlong tensor name": (["blocks", 0, "state", 0, "name"], "w" * 201, "1 to 200 characters, not 201"),
    "two tensors of a name": (["blocks", 0, "state", 0, "name"], "steps", "two state tensors share a name"),
    "a stray forward state": (["blocks", 0, "forward_state"], ["q"], "the state tensor 'q'"),
    "an edge to nowhere": (["edges", 0, "target"], "block9", "names the block 'block9'"),
}


@pytest.mark.parametrize("case", sorted(_CHANGES))
def test_manifests_that_cannot_be_meant_are_refused(bundle: Bundle, case: str) -> None:
    path, value, sentence = _CHANGES[case]
    document = _document(bundle)
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(BundleError, match=sentence) as caught:
        parse_manifest(json.dumps(document), "here")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"format_version": NaN}', "[1]", "null", "", b"\xff\xfe\x00", '"' + "x" * 9999 + '"']
)
def test_what_is_no_json_object_is_refused(text: str | bytes) -> None:
    with pytest.raises(BundleError, match="here"):
        parse_manifest(text, "here")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_value_anywhere_gives_a_manifest_or_one_sentence(bundle: Bundle, data: st.DataObject) -> None:
    document = _document(bundle)
    place: Any = document
    for _ in range(data.draw(st.integers(0, 4))):
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], (dict, list)) or not place[key]:
            break
        place = place[key]
    key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    place[key] = data.draw(_JSON)
    with contextlib.suppress(BundleError):
        parse_manifest(json.dumps(document), "here")
