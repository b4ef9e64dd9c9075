"""A block's state on disk and its fingerprint. State is a flat dict: tensor name -> numpy array."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from edgebll.kernel.errors import BundleError
from edgebll.kernel.spec.file_entry import MAX_FILE_BYTES
from edgebll.kernel.state.safetensors_header import check_head
from edgebll.kernel.support.atomic_files import read_capped, write_atomic

Array = npt.NDArray[np.generic]
State = Mapping[str, Array]


def save_tensors(path: Path, tensors: State) -> None:
    """Write tensors (any shapes; float32, int64, ...) to a safetensors file, atomically."""
    write_atomic(path, pack_tensors(tensors))


def pack_tensors(tensors: State) -> bytes:
    """A safetensors file's content: equal tensors give equal bytes, in whatever order and wherever they are written.

    So a host and a board, who write down the same state, name it by the same SHA-256.
    """
    # The library puts tensors in an order of its own, by dtype and name, and there are no metadata.
    return save({name: np.asarray(value, order="C") for name, value in tensors.items()})


def load_tensors(path: Path) -> dict[str, Array]:
    """Read a safetensors file.

    Raises:
        BundleError: the file is missing, not a whole safetensors file, or exceeds a cap of tensor_files.py.
    """
    try:
        content = read_capped(path, MAX_FILE_BYTES)
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}); export the bundle again") from error
    except ValueError as error:
        raise BundleError(f"{error}; export the bundle again") from error
    return parse_tensors(content, str(path))


def parse_tensors(content: bytes, where: str) -> dict[str, Array]:
    """Read a safetensors file's content; `where` names it in errors.

    Raises:
        BundleError: it is not a whole safetensors file, or exceeds a cap of tensor_files.py.
    """
    try:
        check_head(content)
        return dict(load(content))
    except (SafetensorError, ValueError, KeyError) as error:
        raise BundleError(f"{where} is not a whole safetensors file ({error}); export the bundle again") from error


def state_sha256(states: Mapping[str, State]) -> str:
    """SHA-256 over the names, dtypes, shapes and bytes of all blocks' states, in sorted order.

    Args:
        states: block name -> its state. Two runs agree on the digest exactly when every bit of every tensor agrees.

    Examples:
        >>> import numpy as np
        >>> from edgebll.kernel.state.block_state import state_sha256
        >>> zeros = np.zeros(3, np.float32)
        >>> state_sha256({"block0": {"w": zeros}}) == state_sha256({"block0": {"w": -zeros}})
        False
    """
    digest = hashlib.sha256()
    for block in sorted(states):
        for name in sorted(states[block]):
            value = np.asarray(states[block][name], order="C")
            digest.update(f"{block}\0{name}\0{value.dtype.name}\0{value.shape}\0".encode())
            digest.update(value.data)
    return digest.hexdigest()
