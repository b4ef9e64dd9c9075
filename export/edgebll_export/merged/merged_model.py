"""What merging gives: a file, and how it compares with the blocks it was made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class MergedModel:
    """A written model; it can be given wherever the path of one is taken.

    Attributes:
        path: the ONNX file.
        network: its name.
        numbers: what it computes in, "float32", "float16", "int8" or a bundle's own.
        batch: samples it takes at once; None for any number.
        output: name of its result.
        size_bytes: of the file.
        samples: how many it was compared on.
        max_rel_error: of its results there, against the chain of blocks.
        same_class: part of the samples with the same largest score; None where the result is not class scores.
        state_sha256: of the weights.
    """

    path: Path
    network: str
    numbers: str
    batch: int | None
    output: str
    size_bytes: int
    samples: int
    max_rel_error: float
    same_class: float | None
    state_sha256: str

    def __fspath__(self) -> str:
        return str(self.path)

    def plain(self) -> dict[str, Any]:
        """All of it for JSON."""
        return {**asdict(self), "path": str(self.path)}
