"""The ways to run a block's training step that the benchmarks compare."""

from __future__ import annotations

from collections.abc import Callable

import torch
from blocks import LR, Block
from torch import Tensor

from edgebll_devices.runtimes import BlockRuntime

Run = Callable[[], object]


def eager(block: Block) -> Run:
    """edgebll's pure step function in PyTorch."""
    step, (x, y) = block.step, block.inputs
    state = step.initial_state()
    lr = {"lr": torch.tensor(LR)}

    def run() -> None:
        nonlocal state
        state = step(state, x, y, lr).state

    return run


def idiomatic(block: Block, compiled: bool = False) -> Run:
    """The same step as one writes it in PyTorch: nn.Module, loss.backward(), torch.optim.SGD.

    With `compiled`, torch.compile takes the forward pass with the loss (and derives the gradient), and the optimiser is the
    fused one: both run without Python in between.
    """
    module, objective, options = block.module, block.step.objective, block.optimizer
    module.train()
    x, y = block.inputs
    head, feedback = block.step.new_head(), objective.feedback_state()
    optimizer = torch.optim.SGD(
        [*module.parameters(), *head.parameters()],
        lr=LR,
        momentum=options.momentum,
        nesterov=options.nesterov,
        weight_decay=options.weight_decay,
        fused=compiled or None,
    )

    def loss_of(feedback: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        a = module(x)
        with torch.no_grad():
            feedback = objective.renew_feedback(feedback, a.detach(), y)
        return objective.loss(head, feedback, a, y)[0], feedback

    forward = torch.compile(loss_of, dynamic=False) if compiled else loss_of

    def run() -> None:
        nonlocal feedback
        optimizer.zero_grad()
        loss, feedback = forward(feedback)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return run


def board(block: Block, runtime: BlockRuntime) -> Run:
    """The exported step on a board's runtime, as the agent calls it."""
    x, y = (value.numpy() for value in block.inputs)
    scalars = {"lr": LR}
    return lambda: runtime.train(x, y, scalars)
