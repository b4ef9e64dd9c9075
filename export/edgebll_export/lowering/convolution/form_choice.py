"""Which form computes a convolution and its two gradients: a rule found by measuring, for each of the three on its own.

    y   "direct"      Conv
    dx  "direct"      Conv with the flipped kernel             "transposed" ConvTranspose: reads the kernel as it lies
    dw  "taps"        a MatMul per kernel tap                  "samples"    one MatMul per sample, kernels of one tap
        "columns"     one Gemm with the unfolded input
    y, dx, dw         "winograd"    convolution_winograd       "dense"      depthwise: a matrix per channel, convolution_dense
    y, dw             "unfolded"    a MatMul per sample with the unfolded input, which both share
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

                                        one thread                                  two threads
    depthwise, three forms together     Conv and bands, planes   dense              Conv and bands, planes   dense
    64, 256, 7 x 7                           22.9   25.0          4.5                    15.5   17.1          2.4
    8, 256, 7 x 7                             2.4    3.1          1.3                     1.8    2.0          0.8
    64, 128, 14 x 14 / 2                     17.1   12.5          7.8                    10.7    8.2          3.7
    64, 64, 14 x 14                          15.0   18.1         11.7                     8.9   10.7          5.7
    8, 64, 14 x 14                            1.4    2.4          4.6                     1.1    1.4          2.3
    y and dw together                   Conv and taps or columns unfolded           Conv and taps or columns unfolded
    64, 3 -> 32, 3x3 / 2, 32                  2.8                 1.3                     5.7                 2.5
    64, 16 -> 32, 3x3 / 2, 28                 5.6                 4.8                     5.4                 2.6
    64, 128 -> 256, 3x3 / 2, 14              38.3                48.2                    25.5                24.6

With more threads than one ConvTranspose, Slice, Pad and Concat, which ONNX Runtime computes on one, weigh more.
Winograd's transforms move whole kernels, so it needs many rows (batch times tiles of 4 x 4 outputs) to pay them off; most of
all its weight gradient. Flipping a kernel costs as much as using it for one sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgebll_export.lowering.convolution.geometry import ConvolutionGeometry

#: Fewest channels and rows (batch times tiles) for which Winograd's form is faster: of y and dx, and of dw.
_WINOGRAD_CHANNELS = 32
_WINOGRAD_ROWS, _WINOGRAD_WEIGHT_ROWS = 32, 64
#: Unfolding by slices costs as much as the products it feeds where the output has few positions.
_UNFOLDED_SHARE = 4
#: Most channels for which unfolding by a Conv pays off, by one thread and by more: of strided kernels, and of others.
_STRIDED_CHANNELS, _PLAIN_CHANNELS = (16, 64), (4, 16)
#: A MatMul per sample needs enough positions in each.
_SAMPLE_POSITIONS = 128
#: Where kernels are large and samples many and small, flipping costs less than ConvTranspose's narrow products.
_FLIP_CHANNELS, _FLIP_BATCH, _FLIP_POSITIONS = 256, 16, 64
#: Bands compute as many products too many as the width exceeds the kernel.
_BAND_WIDTH = 32
#: Nanoseconds of a depthwise convolution: of an output by Conv and by bands; of an element of the dense matrix, and a sample's.
#: An output by Conv takes 4; more counts here, because the three dense products share what they read.
_CONV_NS, _BANDS_NS, _DENSE_NS, _DENSE_SAMPLE_NS = 6.0, 6.5, 0.6, 0.02
#: The dense matrices may take so many times what a channel's batch of inputs does.
_DENSE_MEMORY = 8


@dataclass(frozen=True)
class FormSetting:
    """What the choice depends on besides the geometry.

    Attributes:
        matrices: whether forms by matrix products are allowed in place of Conv and ConvTranspose.
        threads: of the processor that compute a block.
        trains: whether the graph holds gradients, not a forward pass alone.
    """

    matrices: bool
    threads: int = 1
    trains: bool = True


def forward_form(geometry: ConvolutionGeometry, setting: FormSetting) -> str:
    """The form of y."""
    if not setting.matrices:
        return "direct"
    if _winograd_rows(geometry) >= _WINOGRAD_ROWS:
        return "winograd"
    if _is_depthwise(geometry):
        return "dense" if _suits_dense(geometry, _CONV_NS) else "direct"
    return "unfolded" if setting.trains and _is_strided(geometry) and _suits_unfolding(geometry, setting) else "direct"


def input_gradient_form(geometry: ConvolutionGeometry, setting: FormSetting) -> str:
    """The form of dx."""
    if setting.matrices and _winograd_rows(geometry) >= _WINOGRAD_ROWS:
        return "winograd"
    if setting.matrices and _is_depthwise(geometry):
        return _depthwise_input_gradient(geometry, setting)
    if geometry.groups == 1 and _is_pointwise(geometry):  # its flipped kernel is a plain transpose
        return "direct"
    large = min(geometry.in_channels, geometry.out_channels) >= _FLIP_CHANNELS
    small = math.prod(geometry.out) <= _FLIP_POSITIONS and geometry.batch >= _FLIP_BATCH
    return "direct" if large and small else "transposed"


def _depthwise_input_gradient(geometry: ConvolutionGeometry, setting: FormSetting) -> str:
    """ConvTranspose runs on one thread, and Conv on all; with a stride Conv would compute mostly zeros."""
    single = setting.threads == 1
    if _suits_dense(geometry, _CONV_NS * (1 if single else setting.threads)):
        return "dense"
    return "transposed" if single or _is_strided(geometry) else "direct"


def weight_gradient_form(geometry: ConvolutionGeometry, setting: FormSetting) -> str:
    """The form of dw."""
    if setting.matrices and _winograd_rows(geometry) >= _WINOGRAD_WEIGHT_ROWS:
        return "winograd"
    if geometry.groups == geometry.in_channels and geometry.groups > 1:
        return _depthwise_weight_gradient(geometry, setting)
    if geometry.groups != 1:
        return "taps"
    if _is_pointwise(geometry):
        return "samples" if geometry.batch > 1 and geometry.positions >= _SAMPLE_POSITIONS * geometry.batch else "taps"
    if geometry.positions * _UNFOLDED_SHARE <= geometry.out_channels:
        return "columns"
    return "unfolded" if setting.matrices and _suits_unfolding(geometry, setting) else "taps"


def _depthwise_weight_gradient(geometry: ConvolutionGeometry, setting: FormSetting) -> str:
    if setting.matrices and _is_depthwise(geometry) and _suits_dense(geometry, _BANDS_NS):
        return "dense"
    if _is_strided(geometry) and (setting.threads > 1 or not suits_bands(geometry)):
        return "planes"
    return "bands" if suits_bands(geometry) else "products"


def _suits_unfolding(geometry: ConvolutionGeometry, setting: FormSetting) -> bool:
    most = _STRIDED_CHANNELS if _is_strided(geometry) else _PLAIN_CHANNELS
    return geometry.groups == 1 and not _is_pointwise(geometry) and geometry.in_channels <= most[setting.threads > 1]


def _suits_dense(geometry: ConvolutionGeometry, output_ns: float) -> bool:
    """Whether products with dense matrices take less time than `output_ns` for each output, and not much memory."""
    inputs, outputs = math.prod(geometry.size), math.prod(geometry.out)
    dense = inputs * outputs * (_DENSE_NS + _DENSE_SAMPLE_NS * geometry.batch)
    return dense < output_ns * geometry.batch * outputs and outputs <= _DENSE_MEMORY * geometry.batch


def _is_depthwise(geometry: ConvolutionGeometry) -> bool:
    """Whether each channel has one filter."""
    return 1 < geometry.groups == geometry.in_channels == geometry.out_channels


def _is_strided(geometry: ConvolutionGeometry) -> bool:
    return set(geometry.stride) != {1}


def suits_bands(geometry: ConvolutionGeometry) -> bool:
    """Whether the form "bands" of dw applies and is fast: one filter a channel, and not too wide."""
    return _is_depthwise(geometry) and geometry.size[-1] <= _BAND_WIDTH * geometry.kernel[-1]


def _is_pointwise(geometry: ConvolutionGeometry) -> bool:
    return math.prod(geometry.kernel) == 1


def _winograd_rows(geometry: ConvolutionGeometry) -> int:
    """Rows of the channel products of Winograd's form; 0 where it does not apply."""
    plain = geometry.kernel == (3, 3) and geometry.stride == (1, 1) and geometry.dilation == (1, 1) and geometry.groups == 1
    if not plain or min(geometry.out) < 2 or min(geometry.in_channels, geometry.out_channels) < _WINOGRAD_CHANNELS:
        return 0
    return geometry.batch * math.prod(-(-n // 4) for n in geometry.out)
