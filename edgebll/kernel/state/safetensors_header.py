"""The head of a safetensors file, checked before the library takes memory for its tensors.

    [head length u64 LE][JSON: name -> {"dtype", "shape", "data_offsets": [begin, end]}][data]

The format: https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any

from edgebll.kernel.spec.manifest import MAX_NAME_CHARS, MAX_RANK, MAX_TENSOR_BYTES

MAX_HEAD_BYTES = 4 << 20
#: Golden files hold the tensors of several steps.
MAX_ENTRIES = 1 << 16
#: Golden files and checkpoints put up to three more words before a tensor's name.
_MAX_NAME_CHARS = 4 * MAX_NAME_CHARS
_LENGTH = struct.Struct("<Q")
_METADATA = "__metadata__"
#: Bytes of a value.
_SIZES = {"F64": 8, "F32": 4, "F16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1}


def check_head(content: bytes) -> None:
    """Check that a file is whole and that no count or size of it exceeds its cap.

    Args:
        content: of the whole file.

    Raises:
        ValueError: it is not; the reason in a few words.
    """
    if len(content) < _LENGTH.size:
        raise ValueError("it is too short")
    (length,) = _LENGTH.unpack_from(content)
    if length > min(MAX_HEAD_BYTES, len(content) - _LENGTH.size):
        raise ValueError(f"its head has {length} bytes")
    head = content[_LENGTH.size : _LENGTH.size + length]
    if sum(head.count(mark) for mark in (b",", b"[", b"{")) > 12 * MAX_ENTRIES:
        raise ValueError("its head has too many values")
    try:
        entries = json.loads(head)
    except RecursionError as error:
        raise ValueError("its head is nested too deeply") from error
    if not isinstance(entries, dict) or len(entries) > MAX_ENTRIES:
        raise ValueError(f"its head is not a table of at most {MAX_ENTRIES} tensors")
    data_bytes = len(content) - _LENGTH.size - length
    if sum(_entry_bytes(name, entry) for name, entry in entries.items() if name != _METADATA) != data_bytes:
        raise ValueError("its tensors are not as long as its data")


def _entry_bytes(name: str, entry: Any) -> int:
    if not isinstance(entry, dict) or len(name) > _MAX_NAME_CHARS:
        raise ValueError("an entry is not a named tensor")
    shape, size = entry.get("shape"), _SIZES.get(str(entry.get("dtype")))
    if size is None or not isinstance(shape, list) or len(shape) > MAX_RANK:
        raise ValueError(f"a tensor has a dtype that is not known, or more than {MAX_RANK} axes")
    if any(type(axis) is not int or axis < 0 for axis in shape):
        raise ValueError("a tensor has a size that is no number of 0 or more")
    if math.prod(max(1, axis) for axis in shape) * size > MAX_TENSOR_BYTES:  # a size of 0 must not hide others
        raise ValueError(f"a tensor has more than {MAX_TENSOR_BYTES} bytes")
    return math.prod(shape) * size
