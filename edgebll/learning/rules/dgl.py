"""Decoupled greedy learning (DGL)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning.heads import BATCH_NORMS, CONVOLUTIONS, linear_layers, pool_to
from edgebll.learning.objective import BlockPlace, Objective, PredictiveObjective
from edgebll.learning.rule import Rule


@dataclass(frozen=True)
class DGL(Rule):
    """Decoupled greedy learning (Belilovsky, Eickenberg and Oyallon 2020), with its spatially reduced classifier "MLP-SR".

    Attributes:
        convolutions: 1x1 convolutions (3 in the paper).
        hidden_layers: linear layers before the last one (3 in the paper).
        reduction: the map shrinks so many times a side before the convolutions.
        cells: a side before the linear layers.

    Examples:
        >>> from edgebll.learning import DGL
        >>> DGL(hidden_layers=2).options()["convolutions"]
        3
    """

    convolutions: int = 3
    hidden_layers: int = 3
    reduction: int = 4
    cells: int = 2

    name: ClassVar[str] = "dgl"
    summary: ClassVar[str] = "Decoupled greedy learning: a deeper classifier on a spatially reduced map (MLP-SR)."
    equation: ClassVar[str] = "L = CE(mlp(pool(conv1x1(pool(a)))), y)"
    inner_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.convolutions, self.hidden_layers) < 0 or min(self.reduction, self.cells) < 1:
            raise ConfigError("DGL's numbers of layers must be at least 0, and its reduction and cells at least 1")

    def local_objective(self, place: BlockPlace) -> Objective:
        """The auxiliary network's loss."""
        return PredictiveObjective(lambda: self.auxiliary(place.output_shape, place.num_classes), self.label_smoothing, place)

    def auxiliary(self, output_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        """MLP-SR; on an output without space its linear layers alone.

        Average pooling to ceil(side / reduction); 1x1 convolutions, batch norm, ReLU; average pooling to `cells` a side; linear
        layers of unchanged width, batch norm, ReLU; a linear layer.
        """
        width, space = output_shape[0], output_shape[1:]
        reduced = tuple(math.ceil(extent / self.reduction) for extent in space)
        cells = tuple(min(self.cells, extent) for extent in reduced)
        layers: list[nn.Module] = []
        if space:
            layers.append(pool_to(space, reduced))
            for _ in range(self.convolutions):
                layers.append(CONVOLUTIONS[len(space)](width, width, 1, bias=False))
                layers += [BATCH_NORMS[len(space)](width), nn.ReLU()]
            layers += [pool_to(reduced, cells), nn.Flatten()]
        features = width * math.prod(cells)
        layers += linear_layers(features, [features] * self.hidden_layers, batch_norm=True)
        return nn.Sequential(*layers, nn.Linear(features, num_classes))
