"""The IDX format of MNIST and its relatives, read strictly.

    [0 0 dtype rank] [size of axis 0, big-endian uint32] ... [size of axis rank-1] [values, last axis fastest]

Only dtype 0x08 (unsigned byte) occurs in practice and is read. A file may be gzip-compressed.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from edgebll.kernel.errors import DataError

_UNSIGNED_BYTE = 0x08
_GZIP_MAGIC = b"\x1f\x8b"
_MAX_RANK = 4
#: Cap on the values of one file, checked before memory is taken.
MAX_BYTES = 1 << 30
_PIECE_BYTES = 1 << 20


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, plain or gzip-compressed.

    Raises:
        DataError: missing, not IDX, truncated, followed by other bytes, or larger than MAX_BYTES.
    """
    try:
        with path.open("rb") as stream:
            compressed = stream.read(2) == _GZIP_MAGIC
            stream.seek(0)
            if not compressed:
                return parse_idx(stream, str(path))
            with gzip.GzipFile(fileobj=stream) as inner:
                return parse_idx(inner, str(path))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is a damaged gzip file ({error}); get the file again") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); get the file again") from error


def parse_idx(stream: BinaryIO | gzip.GzipFile, where: str) -> npt.NDArray[np.uint8]:
    """Read an IDX file from an open stream; `where` names it in errors. See `read_idx`."""
    magic = stream.read(4)
    if len(magic) < 4:
        raise DataError(f"{where} is truncated: {len(magic)} of 4 bytes of its head are there; get the file again")
    rank = magic[3]
    if magic[:2] != b"\0\0" or magic[2] != _UNSIGNED_BYTE or not 1 <= rank <= _MAX_RANK:
        raise DataError(f"{where} is not an IDX file of unsigned bytes: it starts with {magic.hex(' ')}; get the file again")
    head = stream.read(4 * rank)
    if len(head) < 4 * rank:
        raise DataError(f"{where} is truncated in its head; get the file again")
    shape = tuple(int(size) for size in np.frombuffer(head, ">u4"))
    expected = math.prod(shape)
    if math.prod(max(1, size) for size in shape) > MAX_BYTES:  # a size of 0 must not hide others that no array can have
        raise DataError(f"{where} claims {expected} values of shape {shape}; the cap is {MAX_BYTES}; get the file again")
    data = _read(stream, expected)
    if len(data) < expected:
        raise DataError(f"{where} is truncated: {len(data)} of {expected} values are there; get the file again")
    if stream.read(1):
        raise DataError(f"{where} has more bytes than its shape {shape} needs; get the file again")
    values = np.frombuffer(data, np.uint8).reshape(shape)
    values.flags.writeable = False
    return values


def _read(stream: BinaryIO | gzip.GzipFile, size: int) -> bytearray:
    """Read at most `size` bytes, and take memory only for those that come."""
    data = bytearray()
    while len(data) < size and (piece := stream.read(min(_PIECE_BYTES, size - len(data)))):
        data += piece
    return data
