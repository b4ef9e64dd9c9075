"""Training on ONNX Runtime alone against PyTorch's own module, autograd and torch.optim: the same loss curve, step by step."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from edgebll.data import batch_order, load_dataset
from edgebll.kernel.spec.lr_schedule import Schedule
from edgebll.learning import SGD, Adam, AdamW, Backprop, Optimizer, make_steps
from edgebll.learning.networks import BlockNetwork
from edgebll_export.bundles.block_models import block_models

STEPS, BATCH = 50, 32
Rule = Callable[..., torch.optim.Optimizer]
CASES: dict[str, tuple[Optimizer, Rule]] = {
    "sgd": (
        SGD(),
        lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9, nesterov=True, weight_decay=5e-4),
    ),
    "sgd, clipped": (
        SGD(lr=0.1, nesterov=False, weight_decay=0.0, clip_norm=0.5),
        lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9),
    ),
    "adam": (Adam(lr=3e-3), torch.optim.Adam),
    "adam, decayed and clipped": (
        Adam(lr=3e-3, weight_decay=0.01, clip_norm=0.5),
        lambda p, lr: torch.optim.Adam(p, lr, weight_decay=0.01),
    ),
    "adamw": (
        AdamW(lr=3e-3, weight_decay=0.1),
        lambda p, lr: torch.optim.AdamW(p, lr, weight_decay=0.1),
    ),
    "sgd, accumulated": (
        SGD(lr=0.2, nesterov=False, weight_decay=0.0, accumulate=2),
        lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9),
    ),
    "adamw, accumulated and clipped": (
        AdamW(lr=1e-2, weight_decay=0.1, clip_norm=0.5, accumulate=3),
        lambda p, lr: torch.optim.AdamW(p, lr, weight_decay=0.1),
    ),
}


def network() -> nn.Sequential:
    """Smooth, so that no rounding decides at a kink; and no bias before the batch norm, whose gradient is rounding alone."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(256, 10),
        )  # fmt: skip


def batches() -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Images, one-hot labels and learning rate (of a peak of 1) of every step."""
    data, schedule = load_dataset("digits", "train"), Schedule(1.0, "cosine", 5)
    order = np.concatenate([batch_order(len(data), BATCH, 0, epoch) for epoch in range(2)])
    for index in range(STEPS):
        yield data.inputs(order[index]), data.targets(order[index]), schedule.rate(index, STEPS)


def on_onnxruntime(optimizer: Optimizer) -> tuple[list[float], dict[str, np.ndarray]]:
    """Losses and final state of the exported step, which alone carries the state from step to step."""
    (step,) = make_steps(BlockNetwork([network()], 10, (1, 8, 8)), Backprop(), optimizer, BATCH)
    model = block_models(step).models["step"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    state = {name: value.numpy() for name, value in step.initial_state().items()}
    names, losses = [output.name for output in session.get_outputs()], []
    for x, y, part in batches():
        inputs = {**state, "x": x, "y": y, "lr": np.asarray(part * optimizer.lr, np.float32)}
        results = dict(zip(names, session.run(names, inputs), strict=True))
        state = {name: results[f"{name}.next"] for name in state}
        losses.append(float(results["metrics"][0]))
    return losses, state


def in_torch(optimizer: Optimizer, rule: Rule, dtype: torch.dtype) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Losses and final weights of a plain PyTorch loop."""
    model = copy.deepcopy(network()).to(dtype).train()
    theirs, losses = rule(model.parameters(), lr=optimizer.lr), []
    for index, (x, y, part) in enumerate(batches(), 1):
        theirs.param_groups[0]["lr"] = part * optimizer.lr
        loss = nn.functional.cross_entropy(model(torch.from_numpy(x).to(dtype)), torch.from_numpy(y).to(dtype))
        (loss / optimizer.accumulate).backward()
        losses.append(loss.item())
        if index % optimizer.accumulate:
            continue
        if optimizer.clip_norm:
            nn.utils.clip_grad_norm_(model.parameters(), optimizer.clip_norm)
        theirs.step()
        theirs.zero_grad()
    return losses, model.state_dict()


@pytest.mark.parametrize("name", CASES)
def test_fifty_steps_give_the_loss_curve_of_torch(name: str) -> None:
    optimizer, rule = CASES[name]
    actual, state = on_onnxruntime(optimizer)
    exact, weights = in_torch(optimizer, rule, torch.float64)
    single, _ = in_torch(optimizer, rule, torch.float32)
    assert exact[-1] < 0.4 * exact[0]
    np.testing.assert_allclose(actual, exact, rtol=1e-5)
    # as near to float64 as PyTorch's own float32, within the scatter of rounding
    ours, theirs = (np.abs(np.subtract(losses, exact)).max() for losses in (actual, single))
    assert ours < 10 * theirs + 1e-6
    for key, value in weights.items():
        if f"net.{key}" in state:
            np.testing.assert_allclose(state[f"net.{key}"], value.numpy(), rtol=1e-5, atol=1e-5)
