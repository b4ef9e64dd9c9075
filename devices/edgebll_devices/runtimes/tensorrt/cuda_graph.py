"""Work that is the same every time: run as it is first, then captured into a CUDA graph and started with a single call."""

from __future__ import annotations

import logging
from collections.abc import Callable

from edgebll.kernel.errors import BoardError
from edgebll_devices.runtimes.tensorrt.cuda import Cuda, CudaGraph

_log = logging.getLogger(__name__)


class Replay:
    """Work on a stream, always on the same addresses.

    It runs uncaptured once, since TensorRT finishes its set-up in the first run and may allocate there.

    Args:
        cuda: where it runs.
        enqueue: puts the work into cuda.stream.
        what: the work, for messages.
        capturable: whether to try to capture it.
    """

    def __init__(self, cuda: Cuda, enqueue: Callable[[], None], what: str, *, capturable: bool) -> None:
        self._cuda, self._enqueue, self._what = cuda, enqueue, what
        self._try_capture = capturable
        self._is_warmed_up = False
        self._graph: CudaGraph | None = None
        if not capturable:
            _log.info("%s runs without a CUDA graph: TensorRT cannot capture it", what)

    @property
    def captured(self) -> bool:
        """Whether the work is started as a graph."""
        return self._graph is not None

    def run(self) -> None:
        """Do the work and wait for it.

        Raises:
            BoardError: the GPU failed; how much was done is unknown.
        """
        self.start()
        self._cuda.stream.wait()

    def start(self) -> None:
        """Enqueue the work without waiting for it; raises as `run` does."""
        if self._is_warmed_up and self._graph is None and self._try_capture:
            self._capture()
        if self._graph is not None:
            self._graph.launch(self._cuda.stream)
        else:
            self._enqueue()
        self._is_warmed_up = True

    def _capture(self) -> None:
        self._try_capture = False
        try:
            self._graph = self._cuda.capture(self._enqueue)
        except BoardError as error:
            _log.warning("%s runs without a CUDA graph: %s", self._what, error)
