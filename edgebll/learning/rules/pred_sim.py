"""Pred, Sim and Pred-Sim: local losses from a linear decoder and from similarity matching.

Noekland and Eidnes, "Training neural networks with local error signals" (ICML 2019), here once a block, as in the comparisons
of the BLL and AugLocal papers. With h_n the block output of sample n, g a 3x3 convolution (a linear layer without space) and

    s_n = std over space of g(h)_n (unbiased, by channel), or g(h)_n flattened if it has no space or at most 3 channels
    X_n = (s_n - mean s_n) / (|s_n - mean s_n| + 1e-8),   S = clamp(X X^T, -1, 1),   T the same of the one-hot labels

    L_sim  = 1/B^2 sum_nm (S_nm - T_nm)^2        L_pred = CE(W pool(h) + b, y), W zero at first

over the samples that have a label, B of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.bounds import COUNT
from edgebll.kernel.tasks import MultiLabel, Task
from edgebll.learning.heads import CONVOLUTIONS, pool_to
from edgebll.learning.objective import BlockPlace, Head, Objective, PredictiveObjective, Tensors, mean_over_pairs
from edgebll.learning.rule import Rule

#: Added to the norm of a sample's features.
_EPSILON = 1e-8
#: Squares from here down count as zero, so that the gradient of the root stays finite.
_TINY = 1e-24


class Decoder(nn.Module):
    """logits = W flatten(pool(h)) + b; W starts at zero.

    Args:
        output_shape: shape of one sample of h.
        size: most inputs of W, unless the channels alone are more.
    """

    def __init__(self, output_shape: tuple[int, ...], num_classes: int, size: int) -> None:
        super().__init__()
        features, space = output_shape[0], output_shape[1:]
        cells = decoder_cells(features, space, size)
        self.pool = pool_to(space, cells)
        self.linear = nn.Linear(features * math.prod(cells), num_classes)
        nn.init.zeros_(self.linear.weight)

    def forward(self, h: Tensor) -> Tensor:
        """Class scores (B, C) of h (B, F, ...)."""
        logits: Tensor = self.linear(self.pool(h).flatten(1))
        return logits


def decoder_cells(features: int, space: tuple[int, ...], size: int) -> tuple[int, ...]:
    """Shape of the pooled map: the pooling's kernel is doubled, height and width in turn, until `size` inputs are enough.

    Where the kernel does not divide a side, cells of the map overlap (adaptive pooling); the authors pad with zeros instead and
    leave pixels of odd sides out.
    """
    kernel = [1] * len(space)
    cells = space
    while features * math.prod(cells) > size and math.prod(cells) > 1:
        axis = min(range(len(space)), key=lambda i: kernel[i] if cells[i] > 1 else math.inf)
        kernel[axis] *= 2
        cells = tuple(math.ceil(extent / k) for extent, k in zip(space, kernel, strict=True))
    return cells


class SimilarityHead(nn.Module):
    """The map g for similarity matching and, if asked for, the decoder: h to (g(h), class scores or None)."""

    def __init__(self, output_shape: tuple[int, ...], decoder: nn.Module | None) -> None:
        super().__init__()
        features, axes = output_shape[0], len(output_shape) - 1
        self.similarity: nn.Module = nn.Linear(features, features, bias=False)
        if axes:
            self.similarity = CONVOLUTIONS[axes](features, features, 3, 1, 1, bias=False)
        self.decoder = decoder

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, F, ...) to (B, F, ...) and (B, C)."""
        return self.similarity(h), None if self.decoder is None else self.decoder(h)


def similarity_matrix(x: Tensor) -> Tensor:
    """S (B, B) of the features x (B, ...); see the module."""
    if x.dim() > 2 and x.shape[1] > 3 and x.shape[-1] > 1:
        rows = x.flatten(2)
        centred = rows - rows.mean(2, keepdim=True)
        x = (centred.square().sum(2) / (rows.shape[2] - 1)).clamp(min=_TINY).sqrt()
    x = x.flatten(1)
    x = x - x.mean(1, keepdim=True)
    x = x / (x.square().sum(1, keepdim=True).clamp(min=_TINY).sqrt() + _EPSILON)
    return (x @ x.t()).clamp(-1.0, 1.0)


class SimilarityObjective(Objective):
    """similarity * L_sim + predict * L_pred; where `predict` is 0 there is no decoder."""

    def __init__(self, place: BlockPlace, similarity: float, predict: float, decoder_size: int, label_smoothing: float) -> None:
        self.place = place
        self.similarity, self.predict = similarity, predict
        self.decoder_size = decoder_size
        self.label_smoothing = label_smoothing
        self.metrics = ("loss_sim", "loss_pred") if predict else ("loss_sim",)

    def head(self) -> nn.Module:
        """The similarity's map and the decoder."""
        place = self.place
        decoder = Decoder(place.output_shape, place.num_classes, self.decoder_size) if self.predict else None
        return SimilarityHead(place.output_shape, decoder)

    def scores(self, head: Head, feedback: Tensors, a: Tensor) -> Tensor | None:
        """The decoder's."""
        scores: Tensor | None = head(a)[1]
        return scores

    def loss(self, head: Head, feedback: Tensors, a: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum, and its terms."""
        mapped, logits = head(a)
        distance = similarity_matrix(mapped) - similarity_matrix(y)
        terms = {"loss_sim": self.similarity * mean_over_pairs(distance.square(), self.place.labelled(y))}
        if logits is not None:
            terms["loss_pred"] = self.predict * self.place.loss(logits, y, self.label_smoothing)
        return torch.stack(list(terms.values())).sum(), terms


@dataclass(frozen=True)
class PredSim(Rule):
    """Pred-Sim: both losses. The last block's cross-entropy is not scaled by `predict`, unlike in the authors' own code.

    Attributes:
        similarity: weight of L_sim, > 0.
        predict: weight of L_pred, > 0.
        decoder_size: most inputs of the decoder: 512 as in AugLocal's block-wise comparison; 4096 in the paper, for layers.
            Residual blocks on Fashion-MNIST did worse with 4096 (Pred 81.6 % against 86.9 %).

    Examples:
        >>> from edgebll.learning import PredSim
        >>> PredSim(similarity=0.9, predict=0.1).options()["decoder_size"]
        512
    """

    similarity: float = 0.99
    predict: float = 0.01
    decoder_size: int = 512

    name: ClassVar[str] = "predsim"
    inner_only: ClassVar[bool] = True
    summary: ClassVar[str] = "Pred-Sim: similarity matching and a linear decoder."
    equation: ClassVar[str] = "L = similarity mean((S(g(a)) - S(y))^2) + predict CE(decoder(a), y)"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_decoder(self.decoder_size)
        if not (self.similarity > 0 and self.predict > 0):
            raise ConfigError("predsim's weights similarity and predict must be above 0; for one of the losses use pred or sim")

    def check_task(self, task: Task) -> None:
        """See `_check_similar`."""
        _check_similar(self.name, task)

    def local_objective(self, place: BlockPlace) -> Objective:
        """Both losses."""
        return SimilarityObjective(place, self.similarity, self.predict, self.decoder_size, self.label_smoothing)


@dataclass(frozen=True)
class Sim(Rule):
    """Similarity matching alone."""

    name: ClassVar[str] = "sim"
    inner_only: ClassVar[bool] = True
    summary: ClassVar[str] = "Similarity matching: samples of a class shall have similar outputs."
    equation: ClassVar[str] = "L = mean((S(g(a)) - S(y))^2)"

    def check_task(self, task: Task) -> None:
        """See `_check_similar`."""
        _check_similar(self.name, task)

    def local_objective(self, place: BlockPlace) -> Objective:
        """L_sim."""
        return SimilarityObjective(place, 1.0, 0.0, 0, self.label_smoothing)


@dataclass(frozen=True)
class Pred(Rule):
    """The decoder's loss alone. decoder_size: most inputs of the decoder."""

    decoder_size: int = 512

    name: ClassVar[str] = "pred"
    inner_only: ClassVar[bool] = True
    summary: ClassVar[str] = "Local prediction: a linear decoder on the pooled output, zero at first."
    equation: ClassVar[str] = "L = CE(decoder(a), y)"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_decoder(self.decoder_size)

    def local_objective(self, place: BlockPlace) -> Objective:
        """L_pred."""
        return PredictiveObjective(
            lambda: Decoder(place.output_shape, place.num_classes, self.decoder_size), self.label_smoothing, place
        )


def _check_similar(rule: str, task: Task) -> None:
    """Similarity is that of labels as vectors; a number alone has no direction, and pixels have too many pairs."""
    if task.per_pixel or not (task.classes or isinstance(task, MultiLabel)):
        raise ConfigError(
            f"{rule} does not serve {task.name}: it compares pairs of samples by their classes; use pred, bll, greedy or dgl"
        )


def _check_decoder(size: int) -> None:
    COUNT.check("the decoder_size", size)
