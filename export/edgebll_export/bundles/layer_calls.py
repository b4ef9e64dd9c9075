"""Which layer of a module it is that gives other results when it is called again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch.utils._pytree as pytree
from torch import Tensor, nn

from edgebll_export.bundles.repetition import GeneratorWatch, same_bits


@dataclass(frozen=True)
class _LayerCall:
    layer: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    drew: bool


def drawing_layer(module: nn.Module, run: Callable[[], object]) -> str:
    """The layer that draws random numbers of Python or numpy while `run` runs the module, "" if none is seen to."""
    return next((call.layer for call in _calls(module, run) if call.drew), "")


def differing_layer(module: nn.Module, run: Callable[[], object]) -> str:
    """The first layer that gives other results in a second run although it is given the same, "" if none is seen to.

    Args:
        module: whose layers they are.
        run: runs the module, each time on the same inputs.
    """
    for first, second in zip(_calls(module, run), _calls(module, run), strict=False):
        same = first.layer == second.layer and _equal(first.inputs, second.inputs)
        if same and not _equal(first.outputs, second.outputs):
            return first.layer
    return ""


def _calls(module: nn.Module, run: Callable[[], object]) -> list[_LayerCall]:
    """The calls of all layers in the order in which they end: inner ones before outer ones."""
    calls: list[_LayerCall] = []
    with contextlib.ExitStack() as stack:
        for path, layer in module.named_modules():
            stack.enter_context(_watched(layer, _called(path, layer), calls))
        run()
    return calls


def _called(path: str, layer: nn.Module) -> str:
    return f"layer {path!r} ({type(layer).__name__})" if path else f"the block ({type(layer).__name__})"


@contextlib.contextmanager
def _watched(layer: nn.Module, name: str, calls: list[_LayerCall]) -> Iterator[None]:
    begun: list[tuple[list[Tensor], GeneratorWatch]] = []

    def begin(_: nn.Module, inputs: Any) -> None:
        begun.append((_tensors(inputs), GeneratorWatch()))

    def end(_: nn.Module, inputs: Any, output: Any) -> None:
        given, watch = begun.pop()
        calls.append(_LayerCall(name, given, _tensors(output), bool(watch.moved())))

    handles = [layer.register_forward_pre_hook(begin), layer.register_forward_hook(end)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf.detach().clone() for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


def _equal(first: list[Tensor], second: list[Tensor]) -> bool:
    return len(first) == len(second) and all(same_bits(a, b) for a, b in zip(first, second, strict=True))
