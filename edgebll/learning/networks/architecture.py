"""What a shipped network is: its options, and how it is built from them.

A new network is one file: subclass `Architecture` (a frozen dataclass of its options), return its units, and enter the class in
`edgebll.learning.networks.NETWORKS`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from edgebll.kernel.support.bounds import COUNT
from edgebll.learning.networks.unit_network import UnitNetwork

#: Architecture.inputs -> the number of axes of a sample, or None for any, and what such samples are called.
INPUTS: dict[str, tuple[int | None, str]] = {
    "images": (3, "images (channels, height, width)"),
    "sequences": (2, "sequences (positions, features)"),
    "any": (None, "samples of any shape"),
}


@dataclass(frozen=True)
class Architecture:
    """Base of all shipped networks; a subclass's fields are its options.

    Attributes:
        name: as in NETWORKS.
        summary: one line.
        inputs: one of INPUTS.
        example: shape of one sample and number of classes of the task that the network is known from.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    inputs: ClassVar[str] = "images"
    example: ClassVar[tuple[tuple[int, ...], int]] = ((3, 32, 32), 10)

    def __post_init__(self) -> None:
        for option, value in asdict(self).items():
            if isinstance(value, int) and not isinstance(value, bool):
                COUNT.check(f"{self.name}'s {option}", value)

    def options(self) -> dict[str, Any]:
        """All options by name."""
        return asdict(self)

    def build(self, num_classes: int, input_shape: tuple[int, ...]) -> UnitNetwork:
        """The network's units, with weights from PyTorch's generator.

        Args:
            num_classes: C.
            input_shape: of one sample, of as many axes as `inputs` says.

        Raises:
            ConfigError: samples of this shape are too small or do not fit.
        """
        raise NotImplementedError
