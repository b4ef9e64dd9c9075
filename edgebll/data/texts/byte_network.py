"""What a network that foretells bytes takes and gives: windows of bytes as its inputs, and its scores for the next byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import FLOAT32, WHOLE
from edgebll.data.texts.byte_sampler import SYMBOLS, ByteSampler, Choosing
from edgebll.kernel.errors import ConfigError

#: A batch of inputs to what the network gives of it, both (B, ...).
Compute = Callable[[Any], Any]
#: Is told of each byte, the prompt's first.
Told = Callable[[int], None]


@dataclass(frozen=True)
class ByteNetwork:
    """Shapes of a network that foretells bytes.

    Attributes:
        dtype: of its inputs: "float32" for one-hot ones (B, T, 256), whole for (B, T).
        context: T.
        batch: B, samples that it takes at once; 0 for any number.
    """

    dtype: str
    context: int
    batch: int

    @classmethod
    def of(cls, where: str, dtype: str, x: tuple[int, ...], output: tuple[int, ...], batch: int) -> ByteNetwork:
        """The shapes of a network.

        Args:
            where: of the network, for messages.
            dtype: of its inputs.
            x: shape of one sample.
            output: of what it gives for one.
            batch: samples that it takes at once; 0 for any number.

        Raises:
            ConfigError: it is none that foretells bytes.
        """
        expected = (*x[:1], SYMBOLS)
        takes = x == expected if dtype == FLOAT32 else dtype in WHOLE and len(x) == 1
        if not takes or output != expected or len(expected) == 1:
            raise ConfigError(
                f"{where} foretells no bytes: it takes {dtype}{list(x)} and gives {list(output)}, but must give 256 scores for "
                "each position of a text; train a network on one, e.g. --data bytes:PATH --network byte-transformer"
            )
        return cls(dtype, x[0], batch)

    def inputs(self, window: npt.NDArray[np.uint8]) -> Any:
        """A window of bytes (context,) as a batch in which it comes first; the rest of a batch of a fixed size is the same."""
        rows = np.repeat(window[None], self.batch or 1, axis=0)
        return np.eye(SYMBOLS, dtype=np.float32)[rows] if self.dtype == FLOAT32 else rows.astype(self.dtype)


def sample_with(compute: Compute, network: ByteNetwork, choosing: Choosing, told: Told) -> bytes:
    """Choose bytes by what a function computes: the whole context anew for each.

    Args:
        compute: the network.
        network: its shapes.
        choosing: how bytes are chosen.
        told: of each byte.

    Returns:
        The text, the prompt included.
    """
    sampler = ByteSampler(choosing, network.context)
    for byte in choosing.prompt:
        told(byte)
    while not sampler.done:
        window, position = sampler.window()
        told(sampler.take(compute(network.inputs(window))[0, position]))
    return bytes(sampler.text)
