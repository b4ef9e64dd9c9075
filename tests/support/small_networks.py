"""Networks that people train on microcontrollers, as blocks of plain torch modules, and what their graphs are made of."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import torch
from torch import nn

from edgebll.learning.networks import BlockNetwork, make_network
from edgebll_export.targets.microcontroller import operator_list


def mlp() -> BlockNetwork:
    """64-32-16-10 with ReLUs, in two blocks."""
    first = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
    return BlockNetwork([first, nn.Linear(16, 10)], num_classes=10, input_shape=(1, 8, 8))


def lenet() -> BlockNetwork:
    """LeNet-5 (LeCun et al. 1998) with ReLUs, for images of 28 x 28: average pooling, then max pooling."""
    first = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2))
    second = nn.Sequential(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    third = nn.Sequential(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
    return BlockNetwork([first, second, third], num_classes=10, input_shape=(1, 28, 28))


def cnn() -> BlockNetwork:
    """8 and 16 channels of 3 x 3 with ReLUs and max pooling, for images of 16 x 16, as one block."""
    first = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    layers = nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(256, 10))
    return BlockNetwork([layers], num_classes=10, input_shape=(1, 16, 16))


def resnet() -> BlockNetwork:
    """ResNet-8 of 4, 8 and 16 channels on 16 x 16."""
    return make_network(
        "resnet8", num_blocks=3, num_classes=10, input_shape=(1, 16, 16), seed=0, options={"width": 4}, split="stages"
    )


def dscnn() -> BlockNetwork:
    """DS-CNN of 16 channels (Zhang, Suda, Lai and Chandra 2017) on 49 frames of 10 numbers, in two blocks."""
    stem = [nn.Conv2d(1, 16, (10, 4), 2, (5, 1), bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    first = nn.Sequential(*stem, *_separable(16), *_separable(16))
    second = nn.Sequential(*_separable(16), *_separable(16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 12))
    return BlockNetwork([first, second], num_classes=12, input_shape=(1, 49, 10))


def _separable(width: int) -> list[nn.Module]:
    """A depthwise convolution and a pointwise one."""
    depthwise = nn.Conv2d(width, width, 3, 1, 1, groups=width, bias=False)
    pointwise = nn.Conv2d(width, width, 1, bias=False)
    return [depthwise, nn.BatchNorm2d(width), nn.ReLU(), pointwise, nn.BatchNorm2d(width), nn.ReLU()]


SMALL_NETWORKS: dict[str, Callable[[], BlockNetwork]] = {
    "mlp": mlp,
    "lenet": lenet,
    "cnn": cnn,
    "resnet": resnet,
    "dscnn": dscnn,
}


def small_network_of(name: str) -> BlockNetwork:
    """A network of SMALL_NETWORKS, always with the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SMALL_NETWORKS[name]()


def foreign_operators(model: onnx.ModelProto) -> set[str]:
    """What a graph holds that the list for microcontrollers does not."""
    return {node.op_type for node in model.graph.node} - operator_list().operators.keys()
