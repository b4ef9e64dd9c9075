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

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.data.cifar import CIFAR10
from edgebll.data.fashion_mnist import MEAN, STD
from edgebll.edges import EdgeSpec, received_name
from edgebll.errors import ConfigError
from edgebll.learning.folded import fold, folded_shape
from edgebll.learning.heads import BATCH_NORMS, CONVOLUTIONS, conv_head
from edgebll.learning.rule import BlockPlace, Head, Objective, Rule, Tensors, cross_entropy
from edgebll.spec import TensorSpec

IMAGE = "image"
#: Mean and standard deviation of pixels in [0, 1] by number of channels, where the options name none.
NORMALIZATIONS = {1: ((MEAN,), (STD,)), 3: (CIFAR10.mean, CIFAR10.std)}
_IMAGE_AXES = 3
#: Kinds of interpolation by number of axes in space.
_INTERPOLATIONS = ("linear", "linear", "bilinear", "trilinear")
#: What takes a sample's product with itself out of a softmax over products of at most 1 / temperature.
_SELF = 1e4
_TINY = 1e-24


@dataclass(frozen=True)
class InfoPro(Rule):
    """Options of InfoPro. The default weights are ours; the paper tunes them for each network and K.

    Attributes:
        loss: "softmax" or "contrast".
        reconstruct_first, predict_first: l1 and l2 of the first block. reconstruct_last, predict_last: of the last but one.
        temperature: of the contrastive loss. features: of z. hidden: between the head's linear layers. decoder: maps of D.
        mean, std: how pixels in [0, 1] were normalised, (pixel - mean) / std, to become the network's input: a number for each
            channel, e.g. "0.49,0.48,0.45", or one for all. By default those of Fashion-MNIST for one channel and of CIFAR-10
            for three, which other data sets are near to: what they lead beyond [0, 1] is cut off.
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


class InfoProObjective(Objective):
    """l1 L_rec + l2 L_y of one block; a loss whose weight is zero is left out, with its part of the head."""

    def __init__(self, rule: InfoPro, place: BlockPlace, image: Tensor | None = None) -> None:
        self.rule = rule
        self.place = place
        self.image = image
        self.weights = rule.weights(place.index, place.num_blocks)
        names = ("loss_rec", "loss_y")
        self.metrics = tuple(name for name, weight in zip(names, self.weights, strict=True) if weight)

    def received(self, batch_size: int) -> tuple[TensorSpec, ...]:
        """The image, at all blocks but the first that it is of use to."""
        if not self.rule.gets_image(self.place.index, self.place.num_blocks):
            return ()
        return (TensorSpec(self._came_as, "float32", (batch_size, *self.place.shapes[0])),)

    @property
    def _came_as(self) -> str:
        return received_name(f"block{self.place.index - 1}", IMAGE)

    def given(self, received: Tensors, x: Tensor) -> Objective:
        """With the image: the first block's own input, at others what came."""
        image = received.get(self._came_as) if self.place.index else self._normalised(x)
        return InfoProObjective(self.rule, self.place, image)

    def _normalised(self, x: Tensor) -> Tensor:
        """The network's input as an image; whole numbers are pixels from 0 to 255."""
        if x.is_floating_point():
            return x
        mean, std = (torch.tensor(v, device=x.device).reshape(-1, 1, 1) for v in self.rule.normalization(x.shape[1]))
        return (x.float() / 255 - mean) / std

    def outgoing(self, feedback: Tensors, x: Tensor) -> dict[str, Tensor]:
        """The image, for the next block."""
        wanted = self.rule.gets_image(self.place.index + 1, self.place.num_blocks)
        return {IMAGE: self.image} if wanted and self.image is not None else {}

    def head(self) -> nn.Module:
        """Decoder and classifier."""
        rule, place, shape = self.rule, self.place, folded_shape(self.place.output_shape)
        outputs = rule.features if rule.loss == "contrast" else place.num_classes
        return InfoProHead(
            image_decoder(shape, folded_shape(place.shapes[0]), rule.decoder) if self.weights[0] else None,
            conv_head(shape, outputs, rule.hidden) if self.weights[1] else None,
        )

    def loss(self, head: Head, feedback: Tensors, a: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum, and its terms."""
        pixels, scores = head(fold(a))
        terms = {}
        if pixels is not None:
            terms["loss_rec"] = self.weights[0] * self._reconstruction(pixels)
        if scores is not None:
            contrast = self.rule.loss == "contrast"
            error = supervised_contrast(scores, y, self.rule.temperature) if contrast else self._classification(scores, y)
            terms["loss_y"] = self.weights[1] * error
        return torch.stack(list(terms.values())).sum(), terms

    def _classification(self, scores: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(scores, y, self.rule.label_smoothing)

    def _reconstruction(self, pixels: Tensor) -> Tensor:
        """BCE(sigmoid(z), t) = softplus(z) - t z."""
        if self.image is None:
            raise ConfigError("infopro's loss needs the image of its step")
        image = fold(self.image)
        ones = (1,) * (image.dim() - 2)
        mean, std = (image.new_tensor(v).reshape(-1, *ones) for v in self.rule.normalization(tuple(self.image.shape[1:])))
        target = (image * std + mean).clamp(0.0, 1.0)
        return (F.softplus(pixels) - target * pixels).mean()


class InfoProHead(nn.Module):
    """The block output a to the decoder's image, before its sigmoid, and the classifier's scores; either may be missing."""

    def __init__(self, decoder: nn.Module | None, classifier: nn.Module | None) -> None:
        super().__init__()
        self.decoder = decoder
        self.classifier = classifier

    def forward(self, a: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """(B, ...) to (B, C, H, W) and (B, outputs)."""
        return None if self.decoder is None else self.decoder(a), None if self.classifier is None else self.classifier(a)


def image_decoder(shape: tuple[int, ...], image: tuple[int, ...], width: int) -> nn.Module:
    """From a block's output to an image of shape (C, ...), before the sigmoid; both with at most three axes in space.

    Maps with as many axes as the image are stretched to its size (linear along each axis, corners on corners), then come two
    convolutions of 3 a side with `width` maps, batch norm and ReLU in between. Features (F,), which the paper's networks do not
    have, and maps of another number of axes go through one linear layer.
    """
    axes = len(image) - 1
    if len(shape) != len(image) or not axes:
        flat = [nn.Flatten()] if len(shape) > 1 else []
        return nn.Sequential(*flat, nn.Linear(math.prod(shape), math.prod(image)), nn.Unflatten(1, image))
    stretch = nn.Upsample(image[1:], mode=_INTERPOLATIONS[axes], align_corners=True)
    convolution = CONVOLUTIONS[axes]
    first, second = convolution(shape[0], width, 3, 1, 1, bias=False), convolution(width, image[0], 3, 1, 1)
    same = shape[1:] == image[1:]
    return nn.Sequential(nn.Identity() if same else stretch, first, BATCH_NORMS[axes](width), nn.ReLU(), second)


def supervised_contrast(features: Tensor, y: Tensor, temperature: float) -> Tensor:
    """The contrastive loss of features (B, F), not yet normalised, with labels y (B, C); 0 where no sample has a partner."""
    z = features / features.square().sum(1, keepdim=True).clamp(min=_TINY).sqrt()
    own = torch.eye(len(z), dtype=z.dtype, device=z.device)
    log_share = F.log_softmax(z @ z.t() / temperature - _SELF * own, dim=1)
    partners = (y @ y.t()) * (1.0 - own)
    count = partners.sum(1)
    has = (count > 0).to(z.dtype)
    each = (partners * log_share).sum(1) / (count + (1.0 - has))
    return -each.sum() / has.sum().clamp(min=1.0)
