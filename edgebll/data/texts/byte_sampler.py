"""Choosing bytes one after another by what a network gives for the next one; what computes the network is not known here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.bounds import COUNT, SEED, Bounds

SYMBOLS = 256
TEMPERATURE = Bounds("", 0.0, 1e6, note="always the likeliest byte")


@dataclass(frozen=True)
class Choosing:
    """How bytes are chosen.

    Attributes:
        prompt: the bytes that the text begins with, at least one.
        count: bytes to choose, at least 1.
        temperature: t; a byte is drawn by the shares softmax(z / t) of scores z. 0 takes the likeliest, the first of equals.
        seed: of the draws.

    Raises:
        ConfigError: one is out of its bounds.
    """

    prompt: bytes
    count: int = 200
    temperature: float = 0.8
    seed: int = 0

    def __post_init__(self) -> None:
        COUNT.check("the number of bytes", self.count)
        TEMPERATURE.check("temperature", self.temperature)
        SEED.check("seed", self.seed)
        if not self.prompt:
            raise ConfigError("the prompt must have at least one byte: the network foretells what follows one, e.g. a new line")


class ByteSampler:
    """A text that grows byte by byte.

    Args:
        choosing: how.
        context: bytes that the network sees at once.

    Attributes:
        text: all bytes, the prompt included.
    """

    def __init__(self, choosing: Choosing, context: int) -> None:
        self.text = bytearray(choosing.prompt)
        self._choosing, self._context = choosing, context
        self._random = np.random.RandomState(choosing.seed)  # the same numbers in all releases of numpy

    @property
    def chosen(self) -> int:
        """Bytes chosen so far."""
        return len(self.text) - len(self._choosing.prompt)

    @property
    def done(self) -> bool:
        """Whether all are chosen."""
        return self.chosen >= self._choosing.count

    def window(self) -> tuple[npt.NDArray[np.uint8], int]:
        """What the network is to see now: the last bytes of the text (context,), then zeros; and where the last byte is."""
        last = self.text[-self._context :]
        window = np.zeros(self._context, np.uint8)
        window[: len(last)] = np.frombuffer(bytes(last), np.uint8)
        return window, len(last) - 1

    def take(self, scores: npt.NDArray[np.floating]) -> int:
        """Choose the next byte.

        Args:
            scores: z of every byte (256,) at the position of the last byte.

        Returns:
            The byte, which is in `text` now.

        Raises:
            ConfigError: a score is not finite.
        """
        z = np.asarray(scores, np.float64)
        if z.shape != (SYMBOLS,) or not np.isfinite(z).all():
            raise ConfigError(f"the network must give {SYMBOLS} finite scores for a byte; it has diverged, train it anew")
        if self._choosing.temperature == 0:
            byte = int(z.argmax())
        else:
            shares = np.exp((z - z.max()) / self._choosing.temperature).cumsum()
            byte = int(np.searchsorted(shares, self._random.random_sample() * shares[-1], side="right"))
        self.text.append(byte)
        return byte
