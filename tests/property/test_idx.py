"""The IDX reader against every truncation and corruption of small files."""

from __future__ import annotations

import contextlib
import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.idx_files import idx_bytes

from edgebll.data.idx import MAX_BYTES, parse_idx, read_idx
from edgebll.kernel.errors import DataError

SMALL = idx_bytes(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
shapes = st.lists(st.integers(0, 5), min_size=1, max_size=4)


@given(shapes, st.booleans(), st.data())
def test_any_array_reads_back(
    tmp_path_factory: pytest.TempPathFactory, shape: list[int], compress: bool, data: st.DataObject
) -> None:
    size = int(np.prod(shape))
    values = np.frombuffer(data.draw(st.binary(min_size=size, max_size=size)), np.uint8).reshape(shape)
    path = tmp_path_factory.getbasetemp() / "array"
    path.write_bytes(gzip.compress(idx_bytes(values)) if compress else idx_bytes(values))
    result = read_idx(path)
    assert result.dtype == np.uint8
    assert result.shape == tuple(shape)
    assert np.array_equal(result, values)


@pytest.mark.parametrize("length", range(len(SMALL)))
def test_truncation_at_every_byte_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "array"
    path.write_bytes(SMALL[:length])
    with pytest.raises(DataError, match="truncated"):
        read_idx(path)


def test_truncation_of_gzip_at_every_byte_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(SMALL, mtime=0)
    path = tmp_path / "array.gz"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"get the file again"):
            read_idx(path)


def test_a_changed_byte_in_gzip_is_never_read_as_other_values(tmp_path: Path) -> None:
    whole = gzip.compress(SMALL, mtime=0)
    path = tmp_path / "array.gz"
    refused = 0
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x5A]) + whole[position + 1 :])
        try:
            values = read_idx(path)
        except DataError:
            refused += 1
        else:
            assert idx_bytes(values) == SMALL
    assert refused > len(whole) // 2


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(DataError):
        assert idx_bytes(parse_idx(io.BytesIO(content), "here")) == content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (SMALL + b"\0", "more bytes than its shape"),
        (b"\1" + SMALL[1:], "not an IDX file"),
        (SMALL[:2] + b"\x0d" + SMALL[3:], "not an IDX file of unsigned bytes"),
        (SMALL[:3] + b"\0", "not an IDX file"),
        (SMALL[:3] + b"\5" + SMALL[4:], "not an IDX file"),
        (bytes([0, 0, 8, 3]) + b"\xff" * 12, f"the cap is {MAX_BYTES}"),
    ],
)
def test_wrong_heads_are_refused(content: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        parse_idx(io.BytesIO(content), "here")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            read_idx(path)
