"""Blocks made of the layers and functions that people use, one a name, with the shape of a sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.ao.quantization import FusedMovingAvgObsFakeQuantize, MovingAverageMinMaxObserver
from torch.nn import functional as F
from torch.nn.utils import parametrizations

MakeBlock = Callable[[], nn.Module]
Blocks = Mapping[str, tuple[MakeBlock, tuple[int, ...]]]


class Applied(nn.Module):
    """Layers, and a function of them and x."""

    def __init__(self, function: Callable[..., Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.layers, self.function = nn.ModuleList(layers), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.layers)


def after_linear(function: Callable[[Tensor], Tensor], size: int = 6, out: int = 8) -> MakeBlock:
    """The function of what a linear layer gives."""
    return lambda: Applied(lambda x, layer: function(layer(x)), nn.Linear(size, out))


def recurrent(kind: type[nn.Module], **options: Any) -> MakeBlock:
    """All outputs of a recurrent layer."""
    return lambda: Applied(lambda x, layer: layer(x)[0], kind(6, 5, batch_first=True, **options))


def parametrized(wrap: Callable[[nn.Module], nn.Module], layer: MakeBlock) -> MakeBlock:
    return lambda: nn.Sequential(wrap(layer()), nn.Tanh())


def orthogonal(how: str, trivialized: bool = True) -> Callable[[nn.Module], nn.Module]:
    return lambda layer: parametrizations.orthogonal(layer, orthogonal_map=how, use_trivialization=trivialized)


class Filtered(nn.Module):
    """Tokens mixed by a learned filter in the frequency domain, as global filter networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.filter = nn.Linear(3, 3), nn.Parameter(0.3 * torch.randn(6, 4, 3, 2))

    def forward(self, x: Tensor) -> Tensor:
        bins = torch.fft.rfft2(self.linear(x), dim=(1, 2), norm="ortho") * torch.view_as_complex(self.filter)
        return torch.fft.irfft2(bins, s=(6, 6), dim=(1, 2), norm="ortho")


class Spectrogram(nn.Module):
    """A front end for sound behind a learned filter."""

    def __init__(self) -> None:
        super().__init__()
        self.filter = nn.Conv1d(1, 1, 3, padding=1)
        self.window: Tensor
        self.register_buffer("window", torch.hann_window(16))

    def forward(self, x: Tensor) -> Tensor:
        bins = torch.stft(self.filter(x[:, None])[:, 0], 16, 8, window=self.window, return_complex=True)
        return (bins.abs().square() + 1e-2).log()


class Bags(nn.Module):
    """Means of rows of a table, chosen by the input."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(10, 5, mode=mode)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.bag((3 * x.abs()).long().clamp(0, 9)))


class Quantized(nn.Module):
    """A layer whose weight and output are rounded to learned grids."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 8)
        self.scale, self.zero = nn.Parameter(torch.tensor([0.05])), nn.Parameter(torch.tensor([0.3]))

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.fake_quantize_per_channel_affine(
            self.linear.weight, torch.full((8,), 0.02), torch.zeros(8).int(), 0, -127, 127
        )
        y = F.linear(x, weight, self.linear.bias)
        return torch._fake_quantize_learnable_per_tensor_affine(y, self.scale, self.zero, -128, 127, 0.1)


class Transcribing(nn.Module):
    """A loss over alignments as the output."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.linear(x).log_softmax(-1).transpose(0, 1)
        labels = torch.tensor([[1, 2, 2]]).expand(x.shape[0], 3)
        times, letters = (torch.full((x.shape[0],), count) for count in (8, 3))
        return F.ctc_loss(scores, labels, times, letters, reduction="none")[:, None] / 8


def observed() -> nn.Module:
    """PyTorch's own fake quantisation with a moving range, as its default configurations have."""
    grid = FusedMovingAvgObsFakeQuantize(observer=MovingAverageMinMaxObserver, quant_min=0, quant_max=255)
    return nn.Sequential(nn.Linear(6, 8), grid, nn.Tanh())


def _mixture(h: Tensor) -> Tensor:
    """A gate that lets the largest three through."""
    best = h.topk(3, -1)
    return h * torch.zeros_like(h).scatter(-1, best.indices, best.values.softmax(-1))


BLOCKS: Blocks = {
    "lstm": (recurrent(nn.LSTM), (4, 6)),
    "lstm of two layers and directions": (recurrent(nn.LSTM, num_layers=2, bidirectional=True), (4, 6)),
    "lstm with a projection": (recurrent(nn.LSTM, proj_size=3), (4, 6)),
    "gru": (recurrent(nn.GRU, num_layers=2, bidirectional=True), (4, 6)),
    "rnn": (recurrent(nn.RNN), (4, 6)),
    "rnn with relu": (recurrent(nn.RNN, nonlinearity="relu"), (4, 6)),
    "weight norm": (parametrized(parametrizations.weight_norm, lambda: nn.Conv2d(2, 4, 3)), (2, 6, 6)),
    "spectral norm": (parametrized(parametrizations.spectral_norm, lambda: nn.Conv2d(2, 4, 3)), (2, 6, 6)),
    "orthogonal by exponential": (parametrized(orthogonal("matrix_exp"), lambda: nn.Linear(6, 8)), (6,)),
    "orthogonal by Cayley": (parametrized(orthogonal("cayley"), lambda: nn.Linear(6, 6)), (6,)),
    "orthogonal by reflections": (parametrized(orthogonal("householder", False), lambda: nn.Linear(6, 8)), (6,)),
    "topk": (after_linear(_mixture), (6,)),
    "sort": (after_linear(lambda h: h.sort(-1, descending=True).values), (6,)),
    "median": (after_linear(lambda h: h - h.median(-1, keepdim=True).values), (6,)),
    "cdist": (after_linear(lambda h: torch.cdist(h, h.flip(1) * 2)), (4, 6)),
    "nn.Unfold and nn.Fold": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1), nn.Unfold(3, padding=1, stride=2), nn.Tanh(), nn.Fold(6, 3, padding=1, stride=2)
        ),
        (2, 6, 6),
    ),
    "Tensor.unfold": (after_linear(lambda h: h.unfold(1, 3, 1).tanh().mean(-1)), (5, 6)),
    "fft": (after_linear(lambda h: torch.fft.fft2(h).real), (4, 6)),
    "filter of frequencies": (Filtered, (6, 6, 3)),
    "stft": (Spectrogram, (40,)),
    "bags": (lambda: Bags("mean"), (6,)),
    "bags of maxima": (lambda: Bags("max"), (6,)),
    "bilinear": (lambda: Applied(lambda x, layer: layer(x[:, :2], x[:, 2:]), nn.Bilinear(2, 4, 5)), (6,)),
    "fake quantisation": (after_linear(lambda h: torch.fake_quantize_per_tensor_affine(h, 0.05, 0, -128, 127)), (6,)),
    "fake quantisation that learns": (Quantized, (6,)),
    "fake quantisation that observes": (observed, (6,)),
    "ctc": (Transcribing, (8, 6)),
}  # fmt: skip
