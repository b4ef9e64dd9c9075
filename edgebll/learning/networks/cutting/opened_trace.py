"""What a module does with its layers, in order: a trace that looks into no more of them than it is told.

What is not looked into stays as its owner made it: modes, hooks, whatever its forward does. Looked into, a module's own code is
followed once and never runs again, so one whose code asks for its mode, has hooks, or follows its inputs' values is kept whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import fx, nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.own_code.error_place import summary
from edgebll.learning.modules.module_record import ModuleRecord

#: Before the names of layers, in the trace of a model that is called with its samples alone.
PREFIX = "model."


class OneInput(nn.Module):
    """A model that is called with samples alone, whatever else it would take.

    Args:
        model: it.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the model gives for a batch of samples."""
        result: torch.Tensor = self.model(x)
        return result


@dataclass(frozen=True)
class OpenedTrace:
    """The calls that a model makes.

    Attributes:
        holder: the model as a layer called "model", and tensors that its code makes.
        nodes: the calls, in order; only those before what is returned.
        source: the samples.
    """

    holder: nn.Module
    nodes: tuple[fx.Node, ...]
    source: fx.Node


class _Tracer(fx.Tracer):
    def __init__(self, opened: Collection[str]) -> None:
        super().__init__()
        self._opened = {"model", *(PREFIX + name for name in opened)}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name not in self._opened and not _is_plain_sequence(m)


def trace_opened(model: nn.Module, opened: Collection[str]) -> OpenedTrace:
    """Trace a model.

    Args:
        model: it; what it is called with are its samples.
        opened: names of its layers that are looked into, besides the model itself and plain sequences of layers.

    Raises:
        ConfigError: one of them cannot be looked into; says why.
    """
    for name in ("", *opened):
        _check_opened(model.get_submodule(name), name)
    first, second, third = (_trace(model, opened, training) for training in (False, False, True))
    if _calls(first) != _calls(second):
        raise ConfigError("what its forward does differs from call to call, as where it draws numbers in Python; use tensors")
    if _calls(second) != _calls(third):
        raise ConfigError("its forward asks for self.training, which a part of it could not; use layers, such as nn.Dropout")
    return second


def can_open(layer: nn.Module) -> bool:
    """Whether looking into a layer can give anything: it is no layer of PyTorch's, and there are others in it."""
    from_torch = type(layer).__module__.startswith("torch.nn.") and not isinstance(layer, nn.Sequential)
    return not from_torch and not isinstance(layer, nn.modules.batchnorm._BatchNorm) and any(True for _ in layer.children())


def _is_plain_sequence(layer: nn.Module) -> bool:
    return type(layer) is nn.Sequential and not _has_hooks(layer)


def _check_opened(layer: nn.Module, name: str) -> None:
    if _has_hooks(layer):
        what = f"its layer {name!r}" if name else "it"
        raise ConfigError(f"{what} has hooks, which would not run once it is cut inside; put them on its layers")


def _has_hooks(layer: nn.Module) -> bool:
    return any((layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks, layer._backward_pre_hooks))


def _trace(model: nn.Module, opened: Collection[str], training: bool) -> OpenedTrace:
    holder, tracer = OneInput(model), _Tracer(opened)
    layers, record = [model, *(model.get_submodule(name) for name in opened)], ModuleRecord(model)
    before = [layer.training for layer in layers]
    try:
        for layer in layers:
            layer.training = training
        graph = tracer.trace(holder)
    except Exception as error:  # anything can happen in a module of the user's own
        raise ConfigError(f"what its forward does cannot be followed: {summary(error)}") from error
    finally:
        for layer, mode in zip(layers, before, strict=True):
            layer.training = mode
        changes = record.changes()
        record.restore()
    if changes:
        what = f"{changes[0].name!r} of {changes[0].layer}".replace("the block (", "itself (")
        raise ConfigError(f"its forward changes {what}, which a part of it could not; keep in layers what it remembers")
    (source,) = graph.find_nodes(op="placeholder")
    (end,) = graph.find_nodes(op="output")
    result = end.args[0]
    if not isinstance(result, fx.Node) or result is source:
        raise ConfigError(f"it must return one tensor, not a {type(result).__name__}")
    nodes = [node for node in graph.nodes if node.op not in ("placeholder", "get_attr", "output")]
    return OpenedTrace(holder, tuple(nodes[: nodes.index(result) + 1]), source)


def _calls(trace: OpenedTrace) -> Sequence[tuple[object, ...]]:
    return [(node.op, str(node.target), str(node.args), str(node.kwargs)) for node in trace.nodes]


def layers_of(node: fx.Node) -> Iterator[str]:
    """Names of the layers that a call is made by or inside of, the outermost first; the model itself has none."""
    for name in node.meta.get("nn_module_stack", {}):
        if str(name).startswith(PREFIX):
            yield str(name).removeprefix(PREFIX)
    if node.op == "call_module" and str(node.target) not in node.meta.get("nn_module_stack", {}):
        yield str(node.target).removeprefix(PREFIX)
