"""BLL's reconstruction: what a block gives is to tell what the block was given, so that later blocks find more than classes.

With x the block's input (B, C, ...) and a its output (B, F, ...), both averaged to as many cells as the smaller has along each
axis of space (to one cell where they have not the same number of axes), P cells in all, and D a linear map of channels, a
convolution of one cell a side,

    D(a) = W sqrt(min(1, C / F)) a + b        the root keeps a learning rate stable that is so for as many channels in as out
    t_ncp = (x_ncp - mean_c) / sqrt(variance_c + 1e-5)        standardised over the batch's samples that count, and cells
    L_rec = reconstruct ((K - k) / (K - 1))^reconstruct_decay  mean_n 1 / (C P) sum_cp (D(a)_ncp - t_ncp)^2

in block k of K.

InfoPro reconstructs the image, which then has to travel to every block. Here a block needs no more than it has, so nothing more
goes over a link. D is trained with the block and left out of its forward graph. No gradient goes to
the block before.
"""

from __future__ import annotations

from torch import Tensor, nn

from edgebll.learning.heads import CONVOLUTIONS, pool_to
from edgebll.learning.objective import mean_over
from edgebll.learning.rules.bll.features import on_scale


class InputDecoder(nn.Module):
    """D: from a block's output to its input, both on the same cells.

    Args:
        output_shape: of one sample of a.
        input_shape: of one sample of x.
    """

    def __init__(self, output_shape: tuple[int, ...], input_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.cells = common_cells(output_shape, input_shape)
        channels = output_shape[0], input_shape[0]
        self.scale = min(1.0, input_shape[0] / output_shape[0]) ** 0.5
        self.map = CONVOLUTIONS[len(self.cells)](*channels, 1) if self.cells else nn.Linear(*channels)

    def forward(self, a: Tensor) -> Tensor:
        """(B, F, ...) to (B, C, *cells)."""
        rebuilt: Tensor = self.map(to_cells(a, self.cells) * self.scale)
        return rebuilt


class HeadWithDecoder(nn.Module):
    """A block's predictive head, if it has one, and its decoder.

    Args:
        predictor: the head; None for none.
        decoder: D.
    """

    def __init__(self, predictor: nn.Module | None, decoder: InputDecoder) -> None:
        super().__init__()
        self.predictor = predictor
        self.decoder = decoder

    def forward(self, a: Tensor) -> tuple[Tensor | None, Tensor]:
        """Scores (B, C), None without a head, and the reconstruction."""
        return None if self.predictor is None else self.predictor(a), self.decoder(a)


def common_cells(output_shape: tuple[int, ...], input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Cells along each axis of space on which both lie; none, for one cell, where the axes are not the same or too many."""
    if len(output_shape) != len(input_shape) or len(output_shape) > len(CONVOLUTIONS):
        return ()
    return tuple(min(pair) for pair in zip(output_shape[1:], input_shape[1:], strict=True))


def to_cells(values: Tensor, cells: tuple[int, ...]) -> Tensor:
    """Values (B, C, ...) averaged to (B, C, *cells)."""
    if not cells:
        return values.flatten(2).mean(2) if values.dim() > 2 else values
    pooled: Tensor = pool_to(tuple(values.shape[2:]), cells)(values)
    return pooled


def reconstruction_error(rebuilt: Tensor, x: Tensor, counts: Tensor | None) -> Tensor:
    """mean_n 1 / (C P) sum_cp (D(a)_ncp - t_ncp)^2.

    Args:
        rebuilt: D(a), (B, C, *cells).
        x: the block's input (B, C, ...).
        counts: how much samples count (B,); None for 1 each.
    """
    given = to_cells(x.to(rebuilt.dtype), tuple(rebuilt.shape[2:]))
    given = given.reshape(*rebuilt.shape[:2], -1).transpose(1, 2)  # (B, P, C): each cell of each sample is a row
    cells = given.shape[1]
    spread = None if counts is None else counts.unsqueeze(1).expand(-1, cells).flatten()
    target = on_scale(given.flatten(0, 1), "standardised", spread).reshape(given.shape)
    left = (rebuilt.reshape(*rebuilt.shape[:2], -1).transpose(1, 2) - target).square()
    return mean_over(left.mean((1, 2)), counts)
