"""Random modules, composed of what people do with modules: graph, functional step and plain PyTorch agree over six steps."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.plain_training import (
    BATCH,
    CLASSES,
    LR,
    TOLERANCE,
    batches,
    by_graph,
    by_pytorch,
    export,
    largest_error,
    network_of,
    normal,
)
from support.untouched_modules import differences, fingerprint
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from edgebll.learning import SGD, Greedy, make_steps

WIDTH = 5
KINDS = ("linear", "batch norm", "layer norm", "leaky", "tanh", "gelu", "again", "tied")


class Leaky(nn.Module):
    """Recurrent state in a buffer, from batch to batch."""

    potential: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("potential", torch.zeros(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        self.potential = 0.5 * self.potential + 0.5 * x.detach().mean(0)
        return x - self.potential


class Checkpointed(nn.Module):
    """Computes its layer again in the backward pass."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = checkpoint(self.layer, x, use_reentrant=False)
        return result


def built(plan: list[tuple[str, Mapping[str, Any]]]) -> nn.Module:
    """The block of a plan: its layers in turn, and a linear one that is always trained."""
    layers: list[nn.Module] = []
    for kind, traits in plan:
        layer = _layer(kind, [one for one in layers if isinstance(one, nn.Linear)])
        layers.append(_with_traits(layer, traits))
    return nn.Sequential(*layers, nn.Linear(WIDTH, WIDTH))


def _layer(kind: str, before: list[nn.Module]) -> nn.Module:
    if kind in ("again", "tied") and before:
        if kind == "again":
            return before[0]
        tied = nn.Linear(WIDTH, WIDTH)
        assert isinstance(before[0], nn.Linear)
        tied.weight = before[0].weight
        return tied
    makers: dict[str, Callable[[], nn.Module]] = {
        "batch norm": lambda: nn.BatchNorm1d(WIDTH),
        "layer norm": lambda: nn.LayerNorm(WIDTH),
        "leaky": Leaky,
        "tanh": nn.Tanh,
        "gelu": nn.GELU,
    }
    return makers.get(kind, lambda: nn.Linear(WIDTH, WIDTH))()


def _with_traits(layer: nn.Module, traits: Mapping[str, Any]) -> nn.Module:
    if traits["eval"]:
        layer.eval()
    if traits["frozen"]:
        layer.requires_grad_(False)
    for p in layer.parameters():
        if traits["hook"] and p.requires_grad:
            p.register_hook(lambda g, factor=traits["hook"]: g * factor)
    return Checkpointed(layer) if traits["checkpointed"] else layer


TRAITS = st.fixed_dictionaries(
    {
        "eval": st.sampled_from([False, False, True]),
        "frozen": st.sampled_from([False, False, False, True]),
        "hook": st.sampled_from([None, None, 0.5, -1.0]),
        "checkpointed": st.sampled_from([False, False, True]),
    }
)
PLANS = st.lists(st.tuples(st.sampled_from(KINDS), TRAITS), min_size=1, max_size=5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(plan=PLANS)
def test_graph_function_and_plain_pytorch_agree(plan: list[tuple[str, Mapping[str, Any]]]) -> None:
    seen = batches(normal(WIDTH))
    torch.manual_seed(0)
    block = built(plan)
    before = fingerprint(block)
    network = network_of(block, seen[0][0])
    with tempfile.TemporaryDirectory() as folder:
        export(network, Path(folder) / "bundle")
        states = list(by_graph(Path(folder) / "bundle", seen))
    state = by_function(network, seen)
    assert not differences(before, fingerprint(block))
    torch.manual_seed(0)
    trained = by_pytorch(built(plan), states[0], seen)
    assert largest_error(states[-1], trained, states[0]) < TOLERANCE, "the graph differs from plain PyTorch"
    assert largest_error(state, trained, states[0]) < TOLERANCE, "the functional step differs from plain PyTorch"


def by_function(network: Any, seen: list[tuple[Tensor, Tensor]]) -> dict[str, np.ndarray]:
    """The first block's state after the functional steps."""
    optimizer = SGD(lr=LR, momentum=0.0, nesterov=False, weight_decay=0.0)
    step = make_steps(network, Greedy(head_size=1), optimizer, BATCH)[0]
    state = step.initial_state()
    for x, y in seen:
        state = step(state, x, F.one_hot(y, CLASSES).float(), {"lr": torch.tensor(LR)}).state
    return {name: value.numpy() for name, value in {**step.constants, **state}.items()}
