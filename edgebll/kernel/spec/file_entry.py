"""What a manifest says of each file of its bundle."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgebll.kernel.errors import BundleError

MAX_FILE_BYTES = 8 << 30

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileEntry:
    """SHA-256 (64 lower-case hex digits, for they name a file in the boards' caches) and size of one file of a bundle.

    Raises:
        BundleError: no such digest, or a size that is negative or above MAX_FILE_BYTES.
    """

    sha256: str
    size_bytes: int

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.sha256):
            raise BundleError(f"a file's SHA-256 must be 64 hex digits, not {self.sha256[:80]!r}")
        if not 0 <= self.size_bytes <= MAX_FILE_BYTES:
            raise BundleError(f"a file of {self.size_bytes} bytes cannot be; the cap is {MAX_FILE_BYTES}")
