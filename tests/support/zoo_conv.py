"""Small networks of convolutions, norms and pooling: what blocks for boards are made of, with an input shape each."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

#: A function that makes the module, and the shape of its input.
Entry = tuple[Callable[[], nn.Module], tuple[int, ...]]


class Residual(nn.Module):
    """X + branch(x)."""

    def __init__(self, *branch: nn.Module) -> None:
        super().__init__()
        self.branch = nn.Sequential(*branch)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


class ChannelsLast(nn.Module):
    """A module over the last axis, applied to channels."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.inner(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return result


def mobile_block() -> nn.Module:
    """Inverted residual: widen, depthwise convolution, narrow."""
    return Residual(
        nn.Conv2d(8, 24, 1, bias=False),
        nn.GroupNorm(4, 24),
        nn.ReLU6(),
        nn.Conv2d(24, 24, 3, padding=1, groups=24, bias=False),
        nn.GroupNorm(4, 24),
        nn.Hardswish(),
        nn.Conv2d(24, 8, 1),
    )


def mobile_downsampling() -> nn.Module:
    """Depthwise convolution of stride 2, then a pointwise one."""
    return nn.Sequential(nn.Conv2d(8, 8, 5, 2, 2, groups=8), nn.ReLU(), nn.Conv2d(8, 12, 1), nn.MaxPool2d(3, 2, 1))


def grouped_block() -> nn.Module:
    """As in ResNeXt."""
    return Residual(nn.Conv2d(8, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, groups=4), nn.ReLU(), nn.Conv2d(8, 8, 1))


def convnext_block() -> nn.Module:
    """A 7x7 depthwise convolution, layer norm over channels and two pointwise linear layers."""
    inner = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
    return Residual(nn.Conv2d(8, 8, 7, padding=3, groups=8), ChannelsLast(inner))


def dilated_block() -> nn.Module:
    """Atrous convolutions, one of them strided."""
    return nn.Sequential(
        nn.Conv2d(4, 6, 3, 1, 2, 2), nn.ReLU(), nn.Conv2d(6, 4, 3, 2, 2, 2, bias=False), nn.InstanceNorm2d(4, affine=True)
    )


def sound_block() -> nn.Module:
    """One axis, "same" padding, dilation, average pooling."""
    return nn.Sequential(
        nn.Conv1d(4, 8, 5, padding="same", dilation=2),
        nn.GroupNorm(2, 8),
        nn.SiLU(),
        nn.AvgPool1d(3, 2, 1),
        nn.Conv1d(8, 6, 3, stride=2),
        nn.AdaptiveMaxPool1d(4),
    )


def video_block() -> nn.Module:
    """Three axes, one convolution of them depthwise."""
    return nn.Sequential(
        nn.Conv3d(2, 6, 3, (1, 2, 2), 1, bias=False),
        nn.InstanceNorm3d(6),
        nn.ReLU(),
        nn.MaxPool3d((1, 2, 2)),
        nn.Conv3d(6, 6, 3, padding=1, groups=6),
        nn.AdaptiveAvgPool3d((2, 1, 1)),
    )


def autoencoder() -> nn.Module:
    """Strided convolutions and their transposes, with output padding."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(6, 8, 3, 2, 1),
        nn.Tanh(),
        nn.ConvTranspose2d(8, 6, 3, 2, 1, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(6, 3, 3, 2, 1, 1),
    )


def odd_decoder() -> nn.Module:
    """Transposed convolutions with groups, and with stride and dilation at once."""
    return nn.Sequential(
        nn.ConvTranspose2d(4, 6, 4, 2, 1, groups=2), nn.ReLU(), nn.ConvTranspose2d(6, 3, 3, 2, 1, 1, dilation=2)
    )


def voxel_decoder() -> nn.Module:
    """Transposed convolutions over three axes."""
    return nn.Sequential(nn.ConvTranspose3d(4, 4, 3, 2, 1, 1), nn.ReLU(), nn.ConvTranspose3d(4, 2, 2, 1))


def sound_decoder() -> nn.Module:
    """Transposed convolutions over one axis."""
    return nn.Sequential(nn.ConvTranspose1d(4, 4, 4, 2, 1, groups=4), nn.RMSNorm(10), nn.ConvTranspose1d(4, 2, 3, 3, 0, 2))


def odd_pooling() -> nn.Module:
    """Rounding up, dilation, overlap, uneven cells, local response."""
    return nn.Sequential(
        nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        nn.LocalResponseNorm(3),
        nn.AvgPool2d(3, 1, 1, count_include_pad=False),
        nn.MaxPool2d(2, 1, 0, 2),
        nn.AdaptiveAvgPool2d((3, 2)),
        nn.AdaptiveMaxPool2d((2, 1)),
    )


ZOO: dict[str, Entry] = {
    "mobile_block": (mobile_block, (2, 8, 6, 6)),
    "mobile_downsampling": (mobile_downsampling, (2, 8, 13, 12)),
    "grouped_block": (grouped_block, (2, 8, 6, 5)),
    "convnext_block": (convnext_block, (2, 8, 7, 7)),
    "dilated_block": (dilated_block, (2, 4, 9, 8)),
    "sound_block": (sound_block, (2, 4, 30)),
    "video_block": (video_block, (2, 2, 4, 9, 8)),
    "autoencoder": (autoencoder, (2, 3, 12, 8)),
    "odd_decoder": (odd_decoder, (2, 4, 4, 3)),
    "voxel_decoder": (voxel_decoder, (2, 4, 2, 3, 2)),
    "sound_decoder": (sound_decoder, (2, 4, 5)),
    "odd_pooling": (odd_pooling, (2, 4, 13, 14)),
}
