"""Whether the exported graph and the functional step of a random module do what plain PyTorch does with it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.kernel.errors import EdgebllError
from edgebll.learning import SGD, Greedy, make_steps
from edgebll_export.targets import ONNX, Target
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
from support.random_modules import SHAPES, ModuleSketch, built
from support.untouched_modules import differences, fingerprint

#: So many times what rounding alone does is no error of a graph.
ROUNDING = 20.0
#: What rounding alone may do to a module whose training says anything, its own float32 against its own float64: so little that
#: a gradient that is 1 % off is found.
CHAOTIC = 1e-2 / ROUNDING


def check_agreement(sketch: ModuleSketch, target: Target = ONNX) -> bool:
    """Train a sketch's module in six steps by its graph, by its function and in plain PyTorch, and compare.

    What PyTorch itself cannot train must be refused in a sentence.

    Returns:
        False where rounding alone decides how the module trains, so that it says nothing of the graph.
    """
    seen = batches(normal(*SHAPES[sketch.space]))
    torch.manual_seed(0)
    block = built(sketch)
    before = fingerprint(block)
    network = network_of(block, seen[0][0].clone())
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle"
        if not trains(sketch, seen):
            with pytest.raises(EdgebllError):
                export(network, bundle, target=target)
            return True
        export(network, bundle, target=target)
        states = list(by_graph(bundle, seen))
    state = by_function(network, seen)
    assert not differences(before, fingerprint(block)), "the module was changed"
    trained, exact = (by_pytorch(_fresh(sketch, dtype), states[0], seen, dtype) for dtype in (torch.float32, torch.float64))
    rounding = largest_error(tensors(trained), exact, states[0])
    if not rounding < CHAOTIC:
        return False
    limit = max(TOLERANCE, ROUNDING * rounding)
    assert largest_error(states[-1], trained, states[0]) < limit, "the graph differs from plain PyTorch"
    assert largest_error(state, trained, states[0]) < limit, "the functional step differs from plain PyTorch"
    return True


def _fresh(sketch: ModuleSketch, dtype: torch.dtype) -> nn.Module:
    torch.manual_seed(0)
    return built(sketch).to(dtype)


def trains(sketch: ModuleSketch, seen: Sequence[tuple[Tensor, Tensor]]) -> bool:
    """Whether plain PyTorch can take a step: not where work in place destroys what the backward pass needs."""
    block = _fresh(sketch, torch.float32)
    try:
        block(seen[0][0].clone()).square().sum().backward()
    except RuntimeError:
        return False
    return True


def tensors(block: nn.Module) -> dict[str, np.ndarray]:
    """The tensors of a module under the names that a state has them by."""
    named = dict(block.named_parameters(remove_duplicate=False)) | dict(block.named_buffers(remove_duplicate=False))
    return {f"net.{name}": value.detach().numpy() for name, value in named.items()}


def by_function(network: Any, seen: Sequence[tuple[Tensor, Tensor]]) -> dict[str, np.ndarray]:
    """The first block's state, with what is frozen in it, after the functional steps."""
    optimizer = SGD(lr=LR, momentum=0.0, nesterov=False, weight_decay=0.0)
    step = make_steps(network, Greedy(head_size=1), optimizer, BATCH)[0]
    state = step.initial_state()
    for x, y in seen:
        state = step(state, x.clone(), F.one_hot(y, CLASSES).float(), {"lr": torch.tensor(LR)}).state
    return {name: value.numpy() for name, value in {**step.constants, **state}.items()}
