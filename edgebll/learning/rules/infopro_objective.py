"""The losses of a block under InfoPro, its decoder and its classifier. See `edgebll.learning.rules.infopro`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.edge_check import received_name
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.learning.folded import fold, folded_shape
from edgebll.learning.heads import BATCH_NORMS, CONVOLUTIONS, conv_head
from edgebll.learning.objective import BlockPlace, Head, Objective, Tensors

if TYPE_CHECKING:
    from edgebll.learning.rules.infopro import InfoPro

IMAGE = "image"
#: Kinds of interpolation by number of axes in space.
_INTERPOLATIONS = ("linear", "linear", "bilinear", "trilinear")
#: What takes a sample's product with itself out of a softmax over products of at most 1 / temperature.
_SELF = 1e4
_TINY = 1e-24


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
        mean, std = self._statistics(x)
        return (x.float() / 255 - mean) / std

    def _statistics(self, image: Tensor) -> list[Tensor]:
        """Mean and standard deviation of the pixels, which broadcast against an image (B, C, ...)."""
        dtype = image.dtype if image.is_floating_point() else torch.float32
        numbers = self.rule.normalization(tuple(image.shape[1:]))
        return [
            torch.tensor(values, dtype=dtype, device=image.device).reshape(-1, *[1] * (image.dim() - 2)) for values in numbers
        ]

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

    def scores(self, head: Head, feedback: Tensors, a: Tensor) -> Tensor | None:
        """The classifier's; the contrastive loss has none."""
        scores: Tensor | None = head(fold(a))[1] if self.rule.loss == "softmax" else None
        return scores

    def loss(self, head: Head, feedback: Tensors, a: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum, and its terms."""
        pixels, scores = head(fold(a))
        terms = {}
        if pixels is not None:
            terms["loss_rec"] = self.weights[0] * self._reconstruction(pixels)
        if scores is not None:
            terms["loss_y"] = self.weights[1] * self._error(scores, y)
        return torch.stack(list(terms.values())).sum(), terms

    def _error(self, scores: Tensor, y: Tensor) -> Tensor:
        """L_y."""
        rule = self.rule
        if rule.loss == "contrast":
            return supervised_contrast(scores, y, rule.temperature, self.place.labelled(y))
        return self.place.loss(scores, y, rule.label_smoothing)

    def _reconstruction(self, pixels: Tensor) -> Tensor:
        """BCE(sigmoid(z), t) = softplus(z) - t z."""
        if self.image is None:
            raise ConfigError("infopro's loss needs the image of its step")
        mean, std = self._statistics(self.image)
        target = fold((self.image * std + mean).clamp(0.0, 1.0))
        return (F.softplus(pixels) - target * pixels).mean()


class InfoProHead(nn.Module):
    """The block output a to the decoder's image, before its sigmoid, and the classifier's scores; either may be missing."""

    def __init__(self, decoder: nn.Module | None, classifier: nn.Module | None) -> None:
        super().__init__()
        self.decoder = decoder
        self.classifier = classifier

    def forward(self, a: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """(B, ...) to (B, C, ...) and (B, outputs)."""
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


def supervised_contrast(features: Tensor, y: Tensor, temperature: float, known: Tensor | None = None) -> Tensor:
    """The contrastive loss of features (B, F), not yet normalised, with labels y (B, C); 0 where no sample has a partner.

    Args:
        features: of the head.
        y: targets.
        temperature: products are divided by it.
        known: 1 for each sample with a label, 0 for others (B,), which are nobody's rivals; None for 1.
    """
    z = features / features.square().sum(1, keepdim=True).clamp(min=_TINY).sqrt()
    own = torch.eye(len(z), dtype=z.dtype, device=z.device)
    apart = own if known is None else 1.0 - (1.0 - own) * known
    log_share = F.log_softmax(z @ z.t() / temperature - _SELF * apart, dim=1)
    partners = (y @ y.t()) * (1.0 - own)
    count = partners.sum(1)
    has = (count > 0).to(z.dtype)
    each = (partners * log_share).sum(1) / (count + (1.0 - has))
    return -each.sum() / has.sum().clamp(min=1.0)
