"""What the host feeds in one incarnation: the run's stream from where it begins, with snapshots where they are due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edgebll.data.token_stream import NOT_YET
from edgebll.kernel.wire import SNAPSHOT, TRAIN, Token


class TokenFeeder:
    """Numbers the tokens of one incarnation, and puts SNAPSHOTs between them.

    A snapshot is taken right after a training step, never within an evaluation, so that an evaluation is replayed whole or not
    at all.

    Args:
        tokens: the run's stream.
        incarnation: of the run.
        snapshot_seconds: between snapshots, 0 for none but those of the stream.
        now_s: time of the start.

    Attributes:
        wanted: set to have a snapshot as soon as may be; cleared when it was fed.
        step: training steps fed, with those before.
    """

    def __init__(self, tokens: Iterator[Token], incarnation: int, snapshot_seconds: float, now_s: float) -> None:
        self._tokens, self._incarnation, self._snapshot_seconds = tokens, incarnation, snapshot_seconds
        self._taken_s, self._sequence = now_s, 0
        self._trained = False  # the last token was a training step
        self._held: Token | None = None
        self._names = "", ""  # of the run and the block
        self.wanted = False
        self.step = 0

    def next(self, now_s: float) -> Token | None:
        """The next token, NOT_YET where its samples have not come, or None at the end."""
        token = self._held or next(self._tokens, None)
        self._held = None
        if token is None:
            return None
        if self._trained and token.kind != SNAPSHOT and self._due(now_s):
            if token is not NOT_YET:
                self._held = token
            token = Token(*self._names, SNAPSHOT, 0, self.step)
        if token is NOT_YET:
            return token
        self._names = token.run, token.block
        if token.kind == SNAPSHOT:
            self._taken_s, self.wanted = now_s, False
        self._trained = token.kind == TRAIN
        self.step = token.step + self._trained
        numbered = replace(token, sequence=self._sequence, incarnation=self._incarnation, tensors=token.tensors)
        self._sequence += 1
        return numbered

    def _due(self, now_s: float) -> bool:
        return self.wanted or (self._snapshot_seconds > 0 and now_s - self._taken_s >= self._snapshot_seconds)
