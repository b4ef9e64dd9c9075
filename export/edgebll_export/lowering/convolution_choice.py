"""Which form computes a convolution and its two gradients: a rule found by measuring, for each of the three on its own.

    y   "direct"      Conv                                     "winograd"   convolution_winograd
    dx  "direct"      Conv with the flipped kernel             "winograd"
        "transposed"  ConvTranspose: reads the kernel as it lies
    dw  "taps"        a MatMul per kernel tap                  "winograd"
        "columns"     one Gemm with the unfolded input         "samples"    one MatMul per sample, kernels of one tap
        "bands"       depthwise: a MatMul per channel of all columns
        "products"    depthwise: a sum of products per tap     "planes"     depthwise: a Conv group per sample and channel

Milliseconds on ONNX Runtime 1.31, one thread (x86, AVX-512), by batch, channels, height and width; `make bench-forms` measures
them again and says what the rule loses against always knowing the best:

                              y direct  winograd | dx direct  transposed  winograd | dw taps  columns  winograd  samples
    1, 512 -> 512, 4 x 4        0.8      6.7     |   14.2       1.4        6.4     |   3.5     1.8     11.0
    1, 256 -> 256, 7 x 7        0.6      2.0     |    3.8       0.7        2.0     |   1.0     0.9      5.1
    1, 64 -> 64, 14 x 14        0.2      0.2     |    0.4       0.1        0.2     |   0.2     0.2      0.4
    8, 512 -> 512, 4 x 4        4.7      8.9     |   18.2       9.5        9.6     |   6.5     6.9     11.5
    8, 256 -> 256, 7 x 7        4.4      3.0     |    7.7       5.3        3.1     |   3.9     4.7      5.9
    8, 64 -> 64, 14 x 14        1.2      0.9     |    1.5       1.1        0.9     |   1.2     2.0      1.1
    64, 512 -> 512, 4 x 4      38.0     18.0     |   52.2      77.8       19.2     |  41.1    49.8     19.0
    64, 256 -> 256, 7 x 7      33.8     31.5     |   37.4      42.1       24.2     |  29.1    39.8     37.9
    64, 64 -> 64, 14 x 14      10.1      6.8     |   10.1       8.5        6.5     |  11.3    17.8      8.0
    64, 16 -> 16, 28 x 28       4.5      5.3     |    4.5       3.2        5.4     |   6.6    12.6      6.1
    64, 1 -> 16, 28 x 28        0.5      3.7     |    2.7       0.4        2.8     |   1.6     1.3      3.0
    64, 32 -> 32, 5x5, 14       9.8              |    9.9       6.9                |  10.1    20.9
    64, 64 -> 128, 1x1, 14      1.9              |    1.9       2.3                |   2.9     2.7               1.7
    8, 3 -> 32, 3x3 / 2, 32     0.1              |    0.1       0.1                |   0.4     0.2

    depthwise                           dw taps  products  planes  bands
    1, 256, 7 x 7                                  0.18      0.19    0.11
    8, 256, 7 x 7                         7.8      1.3       1.5     0.6
    64, 256, 7 x 7                       30.1     12.9      11.8     6.6
    8, 128, 14 x 14                       9.7      1.8       2.9     1.1
    8, 32, 28 x 28                        5.2      1.6       2.8     1.1
    8, 16, 56 x 56                                 7.4       9.5     3.1
    8, 64, 28 x 28 / 2                   12.9      3.0       1.7     1.3
    64, 128, 14 x 14 / 2                 42.8     25.3      14.7    15.0
    8, 64, 5x5, 14 x 14                   7.0      1.9       2.4     0.9

Winograd's transforms move whole kernels, so it needs many rows (batch times tiles of 4 x 4 outputs) to pay them off; most of
all its weight gradient. Flipping a kernel costs as much as using it for one sample.
"""

from __future__ import annotations

import math

from edgebll_export.lowering.convolution_geometry import Geometry

#: Fewest channels and rows (batch times tiles) for which Winograd's form is faster: of y and dx, and of dw.
_WINOGRAD_CHANNELS = 32
_WINOGRAD_ROWS, _WINOGRAD_WEIGHT_ROWS = 32, 64
#: Unfolding costs as much as the products it feeds where the input has few channels or the output few positions.
_UNFOLDED_CHANNELS, _UNFOLDED_SHARE = 4, 4
#: A MatMul per sample needs enough positions in each.
_SAMPLE_POSITIONS = 128
#: Where kernels are large and samples many and small, flipping costs less than ConvTranspose's narrow products.
_FLIP_CHANNELS, _FLIP_BATCH, _FLIP_POSITIONS = 256, 16, 64


#: Bands compute as many products too many as the width exceeds the kernel.
_BAND_WIDTH = 32


def forward_form(geometry: Geometry, winograd: bool) -> str:
    """The form of y; `winograd` says whether that one is allowed."""
    return "winograd" if winograd and _winograd_rows(geometry) >= _WINOGRAD_ROWS else "direct"


def input_gradient_form(geometry: Geometry, winograd: bool) -> str:
    """The form of dx."""
    if winograd and _winograd_rows(geometry) >= _WINOGRAD_ROWS:
        return "winograd"
    if geometry.groups == 1 and _is_pointwise(geometry):  # its flipped kernel is a plain transpose
        return "direct"
    large = min(geometry.in_channels, geometry.out_channels) >= _FLIP_CHANNELS
    small = math.prod(geometry.out) <= _FLIP_POSITIONS and geometry.batch >= _FLIP_BATCH
    return "direct" if large and small else "transposed"


def weight_gradient_form(geometry: Geometry, winograd: bool) -> str:
    """The form of dw."""
    if winograd and _winograd_rows(geometry) >= _WINOGRAD_WEIGHT_ROWS:
        return "winograd"
    if suits_bands(geometry):
        return "bands"
    if geometry.groups == geometry.in_channels and geometry.groups > 1:
        return "products" if set(geometry.stride) == {1} else "planes"
    if geometry.groups != 1:
        return "taps"
    if _is_pointwise(geometry):
        return "samples" if geometry.batch > 1 and geometry.positions >= _SAMPLE_POSITIONS * geometry.batch else "taps"
    few = geometry.positions * _UNFOLDED_SHARE <= geometry.out_channels
    return "columns" if few or geometry.in_channels <= _UNFOLDED_CHANNELS else "taps"


def suits_bands(geometry: Geometry) -> bool:
    """Whether the form "bands" of dw applies and is fast: one filter a channel, and not too wide."""
    depthwise = 1 < geometry.groups == geometry.in_channels == geometry.out_channels
    return depthwise and geometry.size[-1] <= _BAND_WIDTH * geometry.kernel[-1]


def _is_pointwise(geometry: Geometry) -> bool:
    return math.prod(geometry.kernel) == 1


def _winograd_rows(geometry: Geometry) -> int:
    """Rows of the channel products of Winograd's form; 0 where it does not apply."""
    plain = geometry.kernel == (3, 3) and geometry.stride == (1, 1) and geometry.dilation == (1, 1) and geometry.groups == 1
    if not plain or min(geometry.out) < 2 or min(geometry.in_channels, geometry.out_channels) < _WINOGRAD_CHANNELS:
        return 0
    return geometry.batch * math.prod(-(-n // 4) for n in geometry.out)
