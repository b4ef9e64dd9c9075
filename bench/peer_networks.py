"""What both sides of bench/peer.py train: whole networks, and single layers to see which of them each can train."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from blocks import Attention, Residual
from onnx import helper, numpy_helper
from torch import nn

from edgebll.learning import SGD, AdamW, Optimizer, make_rule, make_steps
from edgebll.learning.networks import BlockNetwork
from edgebll_export import export_bundle
from edgebll_export.bundles.block_models import block_models

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
    module = nn.Sequential(first, layer, nn.Flatten(), nn.Linear(width, CLASSES))
    write(module, _IMAGE, 4, folder, "SGD", _norm_model(name, 4))


def write(
    module: nn.Module,
    shape: tuple[int, ...],
    batch: int,
    folder: Path,
    optimizer: str,
    own_forward: onnx.ModelProto | None = None,
) -> None:
    """What both sides load; `own_forward` is a forward model for them alone."""
    network = BlockNetwork([module], CLASSES, shape)
    rule, ours = make_rule("backprop"), OPTIMIZERS[optimizer]
    step = make_steps(network, rule, ours, batch)[0]
    folder.mkdir(parents=True)
    forward = own_forward or block_models(step).models["forward"]
    onnx.save(_with_weights(forward, step.initial_state()), str(folder / "forward.onnx"))
    (folder / "trained.json").write_text(json.dumps([f"net.{name}" for name, _ in module.named_parameters()]), "utf-8")
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((batch, *shape), np.float32), rng.integers(0, CLASSES, batch)
    np.savez(folder / "batch.npz", x=x, labels=labels)
    export_bundle(network, rule=rule, optimizer=ours, batch_size=batch, path=folder / "bundle")


def _with_weights(model: onnx.ModelProto, state: dict[str, torch.Tensor]) -> onnx.ModelProto:
    """The forward model with the state as constants and with named nodes, as their API expects."""
    graph = model.graph
    inputs = [value for value in graph.input if value.name not in state]
    given = {name for node in graph.node for name in node.input}
    graph.initializer.extend(numpy_helper.from_array(v.numpy(), name) for name, v in state.items() if name in given)
    del graph.input[:]
    graph.input.extend(inputs)
    for index, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{index}"
    return model


def _norm_model(name: str, batch: int) -> onnx.ModelProto | None:
    """The forward pass of a layer of LAYERS with ONNX's own operator, where edgebll would spell it out; None for others."""
    affine = ["net.1.weight", "net.1.bias"]
    statistics = ["net.1.running_mean", "net.1.running_var"]
    nodes = {
        "batch norm, training mode": [
            helper.make_node("BatchNormalization", ["h", *affine, *statistics], ["n", "mean", "var"], training_mode=1)
        ],
        "layer norm": [helper.make_node("LayerNormalization", ["h", *affine], ["n"], axis=-1)],
        "instance norm": [helper.make_node("InstanceNormalization", ["h", *affine], ["n"])],
    }.get(name)
    if nodes is None:
        return None
    first = helper.make_node("Conv", ["x", "net.0.weight", "net.0.bias"], ["h"])
    flat = helper.make_node("Flatten", ["n"], ["f"])
    last = helper.make_node("Gemm", ["f", "net.3.weight", "net.3.bias"], ["a"], transB=1)
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [batch, *_IMAGE])
    a = helper.make_tensor_value_info("a", onnx.TensorProto.FLOAT, [batch, CLASSES])
    graph = helper.make_graph([first, *nodes, flat, last], "forward", [x], [a])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
