"""InfoPro: each block keeps what its output tells of the image, and learns the label besides.

Wang, Ni, Song, Yang and Huang, "Revisiting locally supervised learning: an alternative to end-to-end training" (ICLR 2021).
With t the image in [0, 1], D a decoder and h a head of the block's output a, block j of K minimises

    L = l1 L_rec + l2 L_y,    L_rec = mean over pixels of BCE(sigmoid(D(a)), t)

    L_y, "softmax":   CE(h(a), y)
    L_y, "contrast":  mean over n of -1/|P(n)| sum_{p in P(n)} log softmax_{m != n}(z_n . z_m / temperature)_p

with z = h(a) / |h(a)| and P(n) the other samples of n's class (Khosla et al. 2020); samples that are alone in their class are
left out of the mean. l1 and l2 run linearly from the first block to the last but one; the last block has the task loss.

Every block needs the image. It rides along the chain: each block sends what it got on to the next, as a side stream without
lag, so the host sends each image once, and no block can run ahead of another one's order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from edgebll.data.cifar import CIFAR10
from edgebll.data.fashion_mnist import MEAN, STD
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.edge_check import EdgeSpec
from edgebll.kernel.tasks import Task
from edgebll.learning.objective import BlockPlace, Objective
from edgebll.learning.rule import Rule
from edgebll.learning.rules.infopro_objective import IMAGE, InfoProObjective

#: Mean and standard deviation of pixels in [0, 1] by number of channels, where the options name none.
NORMALIZATIONS = {1: ((MEAN,), (STD,)), 3: (CIFAR10.mean, CIFAR10.std)}
_IMAGE_AXES = 3


@dataclass(frozen=True)
class InfoPro(Rule):
    """Options of InfoPro. The default weights are ours; the paper tunes them for each network and K.

    Attributes:
        loss: "softmax" or "contrast".
        reconstruct_first: weight l1 of the reconstruction, in the first block.
        predict_first: weight l2 of the prediction, in the first block.
        reconstruct_last: weight l1 in the last but one block; blocks between lie between.
        predict_last: weight l2 in the last but one block.
        temperature: of the contrastive loss.
        features: of z.
        hidden: between the head's linear layers.
        decoder: maps of D.
        mean: how pixels in [0, 1] were normalised, (pixel - mean) / std, to become the network's input: a number for each
            channel, e.g. "0.49,0.48,0.45", or one for all. By default that of Fashion-MNIST for one channel and of CIFAR-10 for
            three, which other data sets are near to: what they lead beyond [0, 1] is cut off.
        std: the divisor of the same normalisation, given in the same way and with the same default.

    Examples:
        >>> from edgebll.learning import InfoPro
        >>> InfoPro(loss="contrast").options()["temperature"]
        0.07
    """

    loss: str = "softmax"
    reconstruct_first: float = 5.0
    predict_first: float = 0.5
    reconstruct_last: float = 0.5
    predict_last: float = 1.0
    temperature: float = 0.07
    features: int = 128
    hidden: int = 128
    decoder: int = 12
    mean: str = ""
    std: str = ""

    name: ClassVar[str] = "infopro"
    summary: ClassVar[str] = "InfoPro: the output still tells the image, and the label; the image goes to every block."
    equation: ClassVar[str] = "L = l1 BCE(decoder(a), image) + l2 CE(head(a), y) (or a contrastive loss)"
    whole_sequences: ClassVar[bool] = True  # there is one image a sample, not one for each of its positions
    inner_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss not in ("softmax", "contrast"):
            raise ConfigError(f"infopro's loss must be softmax or contrast, not {self.loss!r}")
        for name in ("reconstruct_first", "predict_first", "reconstruct_last", "predict_last"):
            if getattr(self, name) < 0:
                raise ConfigError(f"infopro's {name} must not be negative, but is {getattr(self, name)}")
        if self.temperature <= 0 or min(self.features, self.hidden, self.decoder) < 1:
            raise ConfigError("infopro's temperature must be above 0, and features, hidden and decoder at least 1")
        _numbers("mean", self.mean)
        if min(_numbers("std", self.std), default=1.0) <= 0:
            raise ConfigError(f"infopro's std must be above 0, but is {self.std}")

    def check_task(self, task: Task) -> None:
        """Not of pixels; "contrast" needs classes."""
        if task.per_pixel:
            raise ConfigError(f"infopro does not serve {task.name}: its heads pool whole maps; use bll, greedy or dgl")
        if self.loss == "contrast" and not task.classes:
            raise ConfigError(f"infopro's contrast tells classes apart, which {task.name} has none of; use loss=softmax")

    def weights(self, index: int, num_blocks: int) -> tuple[float, float]:
        """l1 and l2 of a block but the last."""
        part = index / (num_blocks - 2) if num_blocks > 2 else 0.0
        ends = ((self.reconstruct_first, self.reconstruct_last), (self.predict_first, self.predict_last))
        reconstruct, predict = ((1 - part) * first + part * last for first, last in ends)
        return reconstruct, predict

    def gets_image(self, index: int, num_blocks: int) -> bool:
        """Whether the block before sends this one the image: it or a later one reconstructs it."""
        return index > 0 and any(self.weights(later, num_blocks)[0] > 0 for later in range(index, num_blocks - 1))

    def normalization(self, image: tuple[int, ...]) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of each channel of samples of this shape; only images (C, H, W) have defaults."""
        known = NORMALIZATIONS.get(image[0], ((), ())) if len(image) == _IMAGE_AXES else ((), ())
        found = []
        for name, default in zip(("mean", "std"), known, strict=True):
            numbers = _numbers(name, getattr(self, name)) or default
            numbers = numbers * image[0] if len(numbers) == 1 else numbers
            if len(numbers) != image[0]:
                raise ConfigError(
                    f"infopro needs the {name} of each of {image[0]} channels, not of {len(numbers)}; give --rule-option"
                )
            found.append(list(numbers))
        return found[0], found[1]

    def local_objective(self, place: BlockPlace) -> Objective:
        """The block's two losses."""
        if place.positions:
            raise ConfigError(
                f"infopro reconstructs one image a sample, but here each of {place.positions} positions is a sample with a "
                "label; choose another data set or rule"
            )
        if not any(self.weights(place.index, place.num_blocks)):
            raise ConfigError(f"infopro's weights leave block{place.index} without a loss; put its last ones above 0")
        self.normalization(place.shapes[0])
        return InfoProObjective(self, place)

    def edges(self, blocks: Sequence[str]) -> tuple[EdgeSpec, ...]:
        """The chain, and the image from block to block."""
        relays = [k for k in range(len(blocks)) if self.gets_image(k, len(blocks))]
        return (*super().edges(blocks), *(EdgeSpec(blocks[k - 1], blocks[k], (IMAGE,)) for k in relays))


def _numbers(name: str, text: str) -> tuple[float, ...]:
    """The numbers of an option; none of an empty one."""
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise ConfigError(f"infopro's {name} must be numbers such as 0.49,0.48,0.45, not {text!r}") from None
