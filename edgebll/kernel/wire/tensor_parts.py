"""The tensors of a message: what the header says of each, and the bytes behind it.

- [name, dtype, shape]: the raw little-endian bytes, in C order
- [name, dtype, shape, coding, size]: float32 as a spike_coding of so many bytes; only for peers that have said they know it
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from edgebll.kernel.errors import BundleError, WireError
from edgebll.kernel.spec.manifest import DTYPES, TensorSpec
from edgebll.kernel.state.block_state import Array
from edgebll.kernel.wire.spike_coding import EVENTS, MIN_BYTES, check_size, pack, unpack

MAX_TENSORS = 4096
#: Tensors of one message together.
MAX_MESSAGE_BYTES = 8 << 30
#: Tensors of one message that come as events, together, once they are float32 again: a few bytes may stand for much.
MAX_EVENT_TENSOR_BYTES = 64 << 20

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True)
class TensorPart:
    """A tensor as it travels.

    Attributes:
        spec: what it is.
        size_bytes: of the part.
        coding: one of `spike_coding`; empty for the tensor's own bytes.
    """

    spec: TensorSpec
    size_bytes: int
    coding: str = ""


def spec_of(name: str, value: Array) -> list[Any]:
    """What a header says of a tensor that travels as it is."""
    return [name, _name(value.dtype), list(value.shape)]


def raw(value: Array) -> memoryview:
    """A tensor's own bytes: a view where they are in order."""
    little = np.ascontiguousarray(value, _little_endian(_name(value.dtype)))
    return little.reshape(-1).view(np.uint8).data


def pack_spikes(specs: list[list[Any]], parts: list[Buffer]) -> None:
    """Put spikes in the place of those raw parts that hold nothing else."""
    left = MAX_EVENT_TENSOR_BYTES
    for place, (spec, part) in enumerate(zip(specs, parts, strict=True)):
        if spec[1] != "float32" or len(part) < MIN_BYTES or part[0]:  # this much costs every tensor
            continue
        size = len(part)
        packed = pack(memoryview(part), events=size <= left)
        if packed is not None:
            coding, parts[place] = packed
            spec += [coding, len(parts[place])]
            left -= size if coding == EVENTS else 0


def check_specs(specs: Any) -> list[TensorPart]:
    """Check what a header says of its tensors.

    Raises:
        WireError: it is malformed, or exceeds a cap.
    """
    if not isinstance(specs, list) or len(specs) > MAX_TENSORS:
        raise WireError(f"a message's tensors must be a list of at most {MAX_TENSORS}")
    checked = [_checked(spec) for spec in specs]
    if len({part.spec.name for part in checked}) != len(checked):
        raise WireError("a message names a tensor twice")
    if sum(part.spec.size_bytes for part in checked) > MAX_MESSAGE_BYTES:
        raise WireError(f"a message announces more than {MAX_MESSAGE_BYTES} bytes of tensors")
    if sum(part.spec.size_bytes for part in checked if part.coding == EVENTS) > MAX_EVENT_TENSOR_BYTES:
        raise WireError(f"a message announces events of more than {MAX_EVENT_TENSOR_BYTES} bytes of tensors")
    return checked


def _checked(spec: Any) -> TensorPart:
    if not (isinstance(spec, list) and len(spec) in (3, 5) and isinstance(spec[2], list)):
        raise WireError("a message's tensor is not [name, dtype, shape] or [name, dtype, shape, coding, size]")
    name, dtype, shape, *packed = spec
    plain = isinstance(name, str) and isinstance(dtype, str)
    if not plain or any(not isinstance(size, int) or isinstance(size, bool) for size in shape):
        raise WireError("a message's tensor is not [name, dtype, shape]")
    try:
        part = _plain(name, dtype, tuple(shape))
    except BundleError as error:
        raise WireError(f"a malformed message arrived: {error}") from error
    return _packed(part.spec, *packed) if packed else part


def _packed(spec: TensorSpec, coding: Any, size: Any) -> TensorPart:
    if not isinstance(coding, str) or type(size) is not int or spec.dtype != "float32":
        raise WireError("a message's tensor in another coding is not float32 with a coding and a size")
    check_size(coding, spec.size_bytes // 4, size)
    return TensorPart(spec, size, coding)


@lru_cache(maxsize=256)
def _plain(name: str, dtype: str, shape: tuple[int, ...]) -> TensorPart:
    """A checked tensor that travels as it is; a stream repeats the same few in every message."""
    spec = TensorSpec(name, dtype, shape)
    return TensorPart(spec, spec.size_bytes)


@lru_cache(maxsize=64)
def _name(dtype: np.dtype[Any]) -> str:
    """A dtype's name, which numpy puts together anew each time."""
    return dtype.name


@lru_cache(maxsize=len(DTYPES))
def _little_endian(dtype: str) -> np.dtype[Any]:
    return np.dtype(dtype).newbyteorder("<")


def tensor(part: TensorPart, data: Buffer) -> tuple[str, Array]:
    """A tensor's name, and the read-only tensor: a view of the bytes wherever those are aligned and as they are.

    Raises:
        WireError: the bytes are not such a tensor.
    """
    spec = part.spec
    if len(data) != part.size_bytes:
        raise WireError(f"tensor {spec.name!r} should have {part.size_bytes} bytes and has {len(data)}")
    value = unpack(part.coding, data, spec.size_bytes // 4) if part.coding else _of_bytes(spec, data)
    value = value.reshape(spec.shape)
    value.flags.writeable = False
    return spec.name, value


def _of_bytes(spec: TensorSpec, data: Buffer) -> Array:
    value: Array = np.frombuffer(data, dtype=_little_endian(spec.dtype))
    if sys.byteorder == "big":
        value = value.astype(value.dtype.newbyteorder("="))
    if not value.flags.aligned:
        value = value.copy()  # a small part may lie anywhere in a link's buffer; runtimes need aligned tensors
    if spec.dtype == "bool" and value.view(np.uint8).max(initial=0) > 1:
        raise WireError(f"tensor {spec.name!r} of truth values holds bytes other than 0 and 1")
    return value
