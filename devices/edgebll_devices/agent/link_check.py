"""What a board does for a host that wants to know whether a run can work: it says how it is, and tries its links."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

from edgebll.kernel.errors import LinkError
from edgebll.kernel.keys import KeyPair
from edgebll.kernel.transport.link_trial import Trial, try_link
from edgebll.kernel.transport.rate_quota import Quota
from edgebll.kernel.wire import Message, Neighbour, Reach, Reached, Surveyed

#: Links tried at once; how often a host may ask for it: so many times at once, and so many more a second.
_AT_ONCE, _BURST, _PER_SECOND = 8, 8, 0.5
_PACKAGES = ("edgebll", "numpy", "pyzmq", "onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt-rtx", "tensorrt-cu12")


class LinkCheck:
    """Tries links, one request after another.

    Args:
        keys: the board's.
    """

    def __init__(self, keys: KeyPair | None) -> None:
        self._keys, self._quota = keys, Quota(_BURST, _PER_SECOND)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, request: Reach, post: Callable[[Message], None]) -> None:
        """Try the links of a request in a thread of its own; `post` takes a Reached for each.

        Raises:
            LinkError: the last request is not done yet, or there were too many.
        """
        if self._thread is not None and self._thread.is_alive() and not self._stop.is_set():
            raise LinkError("the board still tries links for an earlier request; wait a few seconds")
        if not self._quota.take():
            raise LinkError("the board was asked to try its links too often; wait a few seconds")
        self._stop = threading.Event()
        arguments = (request, post, self._stop)
        self._thread = threading.Thread(target=self._run, args=arguments, name="edgebll-link-check", daemon=True)
        self._thread.start()

    def _run(self, request: Reach, post: Callable[[Message], None], stop: threading.Event) -> None:
        with ThreadPoolExecutor(_AT_ONCE, "edgebll-link") as threads:
            for neighbour in request.neighbours:
                threads.submit(self._reach, request, neighbour, post, stop)

    def _reach(self, request: Reach, to: Neighbour, post: Callable[[Message], None], stop: threading.Event) -> None:
        if stop.is_set():
            return
        try:
            keys = self._keys if to.public_key is not None else None
            trial = try_link(to.endpoints, keys, to.public_key, request.payload_bytes, request.limit_s, stop.is_set)
        except Exception as error:  # e.g. no thread or descriptor is left
            trial = Trial("", problem=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
        if not stop.is_set():
            reached = Reached(
                request.run,
                to.board,
                endpoint=trial.endpoint,
                address=trial.address,
                round_trip_s=trial.round_trip_s,
                bytes_per_second=trial.bytes_per_second,
                problem=trial.problem,
                incarnation=request.incarnation,
            )
            post(reached)

    def stop(self) -> None:
        """Nobody waits for what is being tried any more."""
        self._stop.set()


def survey(run: str, incarnation: int, state_dir: Path) -> Surveyed:
    """How this machine is at the moment."""
    left, load = shutil.disk_usage(state_dir).free, os.getloadavg()[0]
    return Surveyed(run, time.time(), left, load, installed_versions(), incarnation=incarnation)


def installed_versions() -> dict[str, str]:
    """Versions of what computes and carries a run, and of what is there of it."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
