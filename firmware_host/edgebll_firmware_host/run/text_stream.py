"""A text from the boards of a run: each byte's context is an evaluation that asks the last block for what it gives.

The stream waits for one answer before it asks for more, as it waits for samples of a live source. An incarnation that follows a
failure asks for the byte that is missing, so a text does not depend on boards that are lost on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from edgebll.data.texts.byte_network import ByteNetwork, Told
from edgebll.data.texts.byte_sampler import ByteSampler
from edgebll.data.token_stream import NOT_YET
from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BoardError
from edgebll.kernel.wire import END, EVAL, OUTPUT, Report, Token
from edgebll_firmware_host.run.metrics_recorder import Recorder


class TextStream:
    """The tokens that ask for a text, and what takes the answers.

    Args:
        bundle: the blocks.
        run: identifier of the run.
        network: shapes of the bundle's network.
        sampler: of the text.
        told: of each byte chosen.
    """

    def __init__(self, bundle: Bundle, run: str, network: ByteNetwork, sampler: ByteSampler, told: Told) -> None:
        self._network, self._sampler, self._told = network, sampler, told
        first, last = bundle.manifest.blocks[0], bundle.manifest.blocks[-1]
        self._place = run, first.name
        self._output = last.output.shape[1:]
        self._y = np.zeros(first.labels.shape, first.labels.dtype)

    def tokens(self, start: int) -> Iterator[Token]:
        """The tokens from here on; nothing is trained, so `start` is 0."""
        while not self._sampler.done:
            chosen, (window, _) = self._sampler.chosen, self._sampler.window()
            tensors = {"x": self._network.inputs(window), "y": self._y}
            yield Token(*self._place, EVAL, 0, start, 1, scalars={OUTPUT: 1.0}, tensors=tensors)
            while self._sampler.chosen == chosen:
                yield NOT_YET
        yield Token(*self._place, END, 0, start)

    def take(self, board: str, report: Report) -> None:
        """Take the last block's answer.

        Raises:
            BoardError: there is none in it. ConfigError: the network has diverged.
        """
        output = report.tensors.get(OUTPUT)
        if output is None or output.shape != (1, *self._output):
            raise BoardError(f"board {board} does not give what the network gives; update edgebll there", board)
        _, position = self._sampler.window()
        self._told(self._sampler.take(output[0, position]))


@dataclass
class AnswerRecorder(Recorder):
    """A recorder that hands the last block's answers on, and records nothing.

    Attributes:
        answers: takes them.
    """

    answers: TextStream = field(kw_only=True)

    def take(self, board: str, report: Report, clock_offset_ns: int) -> None:
        """Hand on one Report; each is news, by which a run knows that it goes forward."""
        if report.kind == EVAL and report.block == self.blocks[-1]:
            self.answers.take(board, report)
            self.news += 1
