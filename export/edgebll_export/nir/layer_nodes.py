"""Layers of PyTorch and our neurons as nodes of NIR, one after another."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgebll.kernel.errors import ExportError
from edgebll.learning.networks.spiking.adaptive import ALIF
from edgebll.learning.networks.spiking.cuba import CubaLI, CubaLIF
from edgebll.learning.networks.spiking.lif import IF, LIF
from edgebll.learning.networks.spiking.neuron import SUBTRACT, Neuron, SpikingNeuron
from edgebll.learning.networks.spiking.readout import LI
from edgebll_export.nir.graph import GraphNode, Shape

_NEURONS: dict[type[Neuron], str] = {IF: "IF", LIF: "LIF", LI: "LI", CubaLI: "CubaLI", CubaLIF: "CubaLIF"}
_TAU = "tau"


def node_values(layer: nn.Module, shape: Shape, where: str) -> tuple[str, dict[str, Any]]:
    """What NIR calls a layer, and its parameters.

    Args:
        layer: a linear layer, a convolution, a pooling or Flatten.
        shape: of what it takes in a time step.
        where: its place, for messages.

    Raises:
        ExportError: NIR has no such layer.
    """
    if isinstance(layer, nn.Linear):
        weight = array(layer.weight)
        return (
            ("Linear", {"weight": weight}) if layer.bias is None else ("Affine", {"weight": weight, "bias": array(layer.bias)})
        )
    if isinstance(layer, (nn.Conv1d, nn.Conv2d)):
        return _convolution(layer, shape, where)
    if isinstance(layer, nn.AvgPool2d):
        return "AvgPool2d", _pooling(layer, where)
    if isinstance(layer, nn.Flatten):
        axes = (axis - (axis > 0) for axis in (layer.start_dim, layer.end_dim))
        return "Flatten", dict(zip(("start_dim", "end_dim"), axes, strict=True)) | {"input_type": np.array(shape)}
    raise ExportError(
        f"{where} is a {type(layer).__name__}, which NIR has no node for; known are linear layers, convolutions, average "
        "pooling, batch norm behind weights, Flatten and neurons"
    )


def neuron_values(neuron: Neuron, shape: Shape, where: str, approximate: bool) -> tuple[str, dict[str, Any], list[str]]:
    """What NIR calls a layer of neurons, its parameters for each of them, and what was left out.

    Args:
        neuron: the layer.
        shape: of its neurons.
        where: its place, for messages.
        approximate: leave out what NIR has no words for, in the place of refusing it.

    Raises:
        ExportError: NIR has no such neuron.
    """
    kind = _NEURONS.get(type(neuron))
    if kind is None:
        adapts = "; train lif in its place" if isinstance(neuron, ALIF) else ""
        raise ExportError(f"{where} is a {type(neuron).__name__}, which NIR has no neuron for{adapts}")
    left_out = _left_out(neuron, where)
    if left_out and not approximate:
        raise ExportError(f"{left_out[0]}; train without it, or leave it out with --approximate and look at --check")
    values = {name: _each(neuron, name, shape) for name in neuron.names}
    return kind, values, left_out


def folded(kind: str, values: dict[str, Any], norm: nn.Module, where: str) -> tuple[str, dict[str, Any]]:
    """A layer with weights and the batch norm behind it as one layer.

    Args:
        kind: of the layer.
        values: its parameters.
        norm: the batch norm, as it evaluates.
        where: its place, for messages.

    Raises:
        ExportError: it has no running statistics, or stands behind no weights.
    """
    mean, variance = getattr(norm, "running_mean", None), getattr(norm, "running_var", None)
    if mean is None or variance is None or "weight" not in values:
        raise ExportError(f"{where} is a batch norm that cannot be folded: it needs weights before it and running statistics")
    count = values["weight"].shape[0]
    gain = array(norm.weight, np.float64) if getattr(norm, "weight", None) is not None else np.ones(count)
    shift = array(norm.bias, np.float64) if getattr(norm, "bias", None) is not None else np.zeros(count)
    scale = gain / np.sqrt(array(variance, np.float64) + float(getattr(norm, "eps", 0.0)))
    weight = values["weight"].astype(np.float64) * scale.reshape(-1, *(1 for _ in values["weight"].shape[1:]))
    bias = (values.get("bias", np.zeros(count)) - array(mean, np.float64)) * scale + shift
    new = {**values, "weight": weight.astype(np.float32), "bias": bias.astype(np.float32)}
    return ("Affine" if kind == "Linear" else kind), new


def array(tensor: Any, dtype: Any = np.float32) -> np.ndarray:
    """A tensor's numbers.

    Args:
        tensor: of any device.
        dtype: of the numbers.
    """
    found: np.ndarray = torch.as_tensor(tensor).detach().cpu().numpy().astype(dtype)
    return found


def as_node(name: str, kind: str, values: dict[str, Any]) -> GraphNode:
    """A node of what was found."""
    return GraphNode(name, kind, values)


def _convolution(layer: nn.Conv1d | nn.Conv2d, shape: Shape, where: str) -> tuple[str, dict[str, Any]]:
    if layer.padding_mode != "zeros":
        raise ExportError(f"{where} pads its map with {layer.padding_mode}; NIR's convolutions pad with zeros")
    one = isinstance(layer, nn.Conv1d)
    sizes = {name: getattr(layer, name) for name in ("stride", "padding", "dilation")}
    plain = {name: value if isinstance(value, str) else value[0] if one else np.array(value) for name, value in sizes.items()}
    bias = np.zeros(layer.out_channels, np.float32) if layer.bias is None else array(layer.bias)
    given = {"input_shape": shape[1] if one else np.array(shape[1:]), "weight": array(layer.weight), "bias": bias}
    return ("Conv1d" if one else "Conv2d"), {**given, **plain, "groups": layer.groups}


def _pooling(layer: nn.AvgPool2d, where: str) -> dict[str, Any]:
    if layer.ceil_mode or not layer.count_include_pad or layer.divisor_override is not None:
        raise ExportError(f"{where} averages in a way that NIR has no words for; leave its options as they are by default")
    stride = layer.kernel_size if layer.stride is None else layer.stride
    sizes = {"kernel_size": layer.kernel_size, "stride": stride, "padding": layer.padding}
    return {name: np.broadcast_to(np.array(value), (2,)).copy() for name, value in sizes.items()}


def _left_out(neuron: Neuron, where: str) -> list[str]:
    if not isinstance(neuron, SpikingNeuron):
        return []
    found = []
    if neuron.reset == SUBTRACT:
        found.append(f"{where} is reset by subtraction, NIR's neurons to v_reset")
    if neuron.refractory:
        found.append(f"{where} has a refractory period, NIR's neurons have none")
    return found


def _each(neuron: Neuron, name: str, shape: Shape) -> np.ndarray:
    """A value for each neuron: a number keeps all its digits; a time constant is a time step at least, as steps take it."""
    own = getattr(neuron, name, None)
    if isinstance(own, float):
        return np.full(shape, own)
    value = neuron.value(name)
    if name.startswith(_TAU) and isinstance(getattr(neuron, f"log_{name}", None), Tensor):
        value = value.clamp(min=neuron.dt)
    return np.broadcast_to(array(value), shape).copy()
