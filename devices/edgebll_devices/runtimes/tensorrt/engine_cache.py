"""Engines built on this machine, by what they were built from. They fit no other GPU and no other TensorRT.

    DIR/<key>.engine      SHA-256 of the engine (32 bytes), then the engine
    DIR/<place>.timings   measured kernel times of one GPU and TensorRT, in the same form; make later builds faster

A file that is damaged is removed and counts as absent. A folder that cannot be written costs a rebuild each time, nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from dataclasses import asdict
from pathlib import Path

from edgebll.kernel.support.scratch_files import ScratchFile, sweep
from edgebll_devices.runtimes.tensorrt.builder import BuildOptions
from edgebll_devices.runtimes.tensorrt.gpu_info import GpuInfo

_log = logging.getLogger(__name__)

DEFAULT_LIMIT_BYTES = 8 << 30
_DIGEST_BYTES = 32
#: What engines on their way to the disk are called.
_SCRATCH = "engine"


def place_key(gpu: GpuInfo, library: str) -> str:
    """Name for what only holds on GPUs like this one with this TensorRT."""
    return _digest(gpu.name, str(gpu.capability), str(gpu.multiprocessors), library)


def engine_key(graph: bytes, gpu: GpuInfo, library: str, options: BuildOptions) -> str:
    """Name of the engine built from a graph.

    Args:
        graph: content of the ONNX file.
        gpu: it was built for.
        library: TensorRT's name and whole version.
        options: of the build.
    """
    return _digest(hashlib.sha256(graph).hexdigest(), place_key(gpu, library), repr(sorted(asdict(options).items())))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


class EngineCache:
    """The cache in one folder, which is made when the first engine is kept. Several processes may share it.

    Args:
        folder: where.
        limit_bytes: the engines used longest ago are removed beyond this.
    """

    def __init__(self, folder: Path, *, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self._folder, self._limit_bytes = folder, limit_bytes

    def engine(self, key: str) -> bytes | None:
        """The engine kept under a key, or None."""
        return self._read(self._folder / f"{key}.engine")

    def keep_engine(self, key: str, engine: bytes) -> None:
        """Keep an engine, and remove old ones if there is not enough room."""
        self._write(self._folder / f"{key}.engine", engine)
        self._prune(keep=self._folder / f"{key}.engine")

    def drop_engine(self, key: str) -> None:
        """Forget an engine that turned out useless."""
        with contextlib.suppress(OSError):
            (self._folder / f"{key}.engine").unlink()

    def timings(self, place: str) -> bytes:
        """The timing cache of a place, b"" if there is none."""
        return self._read(self._folder / f"{place}.timings") or b""

    def keep_timings(self, place: str, timings: bytes) -> None:
        """Keep a timing cache."""
        if timings:
            self._write(self._folder / f"{place}.timings", timings)

    def _read(self, path: Path) -> bytes | None:
        try:
            content = path.read_bytes()
        except OSError:
            return None
        digest, kept = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(kept).digest() != digest:
            _log.warning("%s is damaged; it is made anew", path)
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return kept

    def _write(self, path: Path, content: bytes) -> None:
        """Write by way of a file of this process alone, so that others see a whole file or none."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            sweep(self._folder, _SCRATCH)
            with ScratchFile(self._folder, _SCRATCH, 0o600) as scratch:
                scratch.stream.write(hashlib.sha256(content).digest())
                scratch.stream.write(content)
                scratch.place(path)
        except OSError as error:
            _log.warning("%s cannot be written (%s), so it will be made anew next time", path, error.strerror or error)

    def _prune(self, keep: Path) -> None:
        found = []
        for path in self._folder.glob("*.engine"):
            with contextlib.suppress(OSError):  # another process prunes too
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._limit_bytes:
                return
            if path != keep:
                with contextlib.suppress(OSError):
                    path.unlink()
                    total -= size
