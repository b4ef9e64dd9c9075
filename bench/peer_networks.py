"""What both sides of bench/peer.py train: whole networks, and single layers to see which of them each can train."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from blocks import Attention, Residual
from onnx import numpy_helper
from torch import nn

from edgebll.learning import SGD, AdamW, Optimizer, make_rule, make_steps
from edgebll.networks import BlockNetwork
from edgebll_export import export_bundle
from edgebll_export.models import block_models

CLASSES = 10
#: Their optimisers' names, and ours with the same update.
OPTIMIZERS: dict[str, Optimizer] = {
    "SGD": SGD(momentum=0.0, nesterov=False, weight_decay=0.0),
    "AdamW": AdamW(weight_decay=0.01),
}


def mlp() -> nn.Module:
    """Linear 784-256-256-10 with ReLU."""
    layers = [nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, CLASSES)]
    return nn.Sequential(nn.Flatten(), *layers)


def cnn() -> nn.Module:
    """3x3 convolutions 1-16-32, the second of stride 2, with ReLU, and a linear classifier."""
    layers = [nn.Conv2d(1, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 14 * 14, CLASSES))


NETWORKS: dict[str, Callable[[], nn.Module]] = {"mlp": mlp, "cnn": cnn}

_IMAGE = (4, 6, 6)
#: Layers on images (4, 6, 6), each before a linear classifier.
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "convolution": lambda: nn.Conv2d(4, 4, 3, padding=1),
    "convolution, dilated": lambda: nn.Conv2d(4, 4, 3, padding=2, dilation=2),
    "convolution, depthwise": lambda: nn.Conv2d(4, 4, 3, padding=1, groups=4),
    "convolution, 1-D": lambda: nn.Sequential(nn.Flatten(2), nn.Conv1d(4, 4, 3, padding=1)),
    "convolution, 3-D": lambda: nn.Sequential(nn.Unflatten(1, (2, 2)), nn.Conv3d(2, 2, 3, padding=1)),
    "convolution, transposed": lambda: nn.ConvTranspose2d(4, 4, 2, stride=2),
    "batch norm, training mode": lambda: nn.BatchNorm2d(4),
    "layer norm": lambda: nn.LayerNorm(6),
    "group norm": lambda: nn.GroupNorm(2, 4),
    "instance norm": lambda: nn.InstanceNorm2d(4, affine=True),
    "RMS norm": lambda: nn.RMSNorm(6),
    "GELU": nn.GELU,
    "SiLU": nn.SiLU,
    "hard-swish": nn.Hardswish,
    "ELU": nn.ELU,
    "leaky ReLU": nn.LeakyReLU,
    "softmax": lambda: nn.Softmax(-1),
    "maximum pooling": lambda: nn.MaxPool2d(2),
    "average pooling": lambda: nn.AvgPool2d(2),
    "adaptive average pooling": lambda: nn.AdaptiveAvgPool2d(3),
    "attention": lambda: nn.Sequential(nn.Flatten(2), Residual(Attention(36, 4))),
    "upsampling, nearest": lambda: nn.Upsample(scale_factor=2),
    "upsampling, bilinear": lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
    "padding, reflected": lambda: nn.ReflectionPad2d(1),
}


def write_network(name: str, batch: int, folder: Path, optimizer: str) -> None:
    """bundle/, forward.onnx and batch.npz of a network."""
    shape = (784,) if name == "mlp" else (1, 28, 28)
    torch.manual_seed(0)
    write(NETWORKS[name](), shape, batch, folder, optimizer)


def write_layer(name: str, folder: Path) -> None:
    """The same for a layer on images before a classifier."""
    torch.manual_seed(0)
    layer = LAYERS[name]()
    width = layer.eval()(torch.zeros(2, *_IMAGE))[0].numel()
    first = nn.Conv2d(4, 4, 1)  # so that the layer's input needs a gradient
    write(nn.Sequential(first, layer, nn.Flatten(), nn.Linear(width, CLASSES)), _IMAGE, 4, folder, "SGD")


def write(module: nn.Module, shape: tuple[int, ...], batch: int, folder: Path, optimizer: str) -> None:
    """What both sides load."""
    network = BlockNetwork([module], CLASSES, shape)
    rule, ours = make_rule("backprop"), OPTIMIZERS[optimizer]
    step = make_steps(network, rule, ours, batch)[0]
    folder.mkdir(parents=True)
    onnx.save(_with_weights(block_models(step).models["forward"], step.initial_state()), str(folder / "forward.onnx"))
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((batch, *shape), np.float32), rng.integers(0, CLASSES, batch)
    np.savez(folder / "batch.npz", x=x, labels=labels)
    export_bundle(network, rule=rule, optimizer=ours, batch_size=batch, path=folder / "bundle")


def _with_weights(model: onnx.ModelProto, state: dict[str, torch.Tensor]) -> onnx.ModelProto:
    """The forward model with the state as constants, named nodes, and batch norm in training mode, as their API expects."""
    graph = model.graph
    inputs = [value for value in graph.input if value.name not in state]
    given = {value.name for value in graph.input}
    graph.initializer.extend(numpy_helper.from_array(v.numpy(), name) for name, v in state.items() if name in given)
    del graph.input[:]
    graph.input.extend(inputs)
    for index, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{index}"
        if node.op_type == "BatchNormalization":
            node.attribute.append(onnx.helper.make_attribute("training_mode", 1))
            node.output.extend([f"{node.output[0]}_mean", f"{node.output[0]}_var"])
    return model
