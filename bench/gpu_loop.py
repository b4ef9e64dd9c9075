"""What gpu_speed.py compares: a block's training step in PyTorch on a GPU, and on TensorRT without the host."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from edgebll.learning import SGD, BlockStep
from edgebll_devices.runtimes.tensorrt import TensorRTBlock

#: Steps between two synchronisations.
STEPS = 20
Run = Callable[[], None]


def resident(block: TensorRTBlock, x: Tensor, y: Tensor, lr: float) -> Run:
    """STEPS training steps of a block on TensorRT, inputs and outputs on the GPU."""
    block.train(x.numpy().astype(block.spec.input.dtype), y.numpy(), {"lr": lr})
    step, wait = block.resident_step()

    def run() -> None:
        for _ in range(STEPS):
            step()
        wait()

    return run


def torch_loop(
    step: BlockStep,
    module: nn.Module,
    x: Tensor,
    y: Tensor,
    lr: float,
    precision: str,
    *,
    compiled: bool = False,
    device: str = "cuda",
    keep: dict[str, nn.Module] | None = None,
) -> Run:
    """STEPS training steps as one writes them in PyTorch: nn.Module, autocast, GradScaler, loss.backward(), torch.optim.SGD.

    Args:
        step: the block; its objective and optimiser options are used. module: the torch module, which is copied.
        x, y: a batch. lr: learning rate. precision: "float32" or "mixed". compiled: with torch.compile and the fused optimiser.
        module: the block, trained in place.
        x: a batch (B, ...) float32.
        y: one-hot labels (B, C) float32.
        lr: learning rate of every step.
        precision: one of PRECISIONS.
        compiled: whether torch.compile runs it.
        device: where. keep: takes the module that is trained, under its precision.
        keep: where the trained module and head are put, by name; None for nowhere.
    """
    mixed = precision == "mixed"
    _set_float32()
    module = copy.deepcopy(module).to(device).train()
    if keep is not None:
        keep[precision] = module
    x, y = x.to(device), y.to(device)
    loss_of, parameters = _objective(step, module, x, y, device)
    fused = compiled and device == "cuda"
    options = step.optimizer
    assert isinstance(options, SGD)
    optimizer = torch.optim.SGD(
        parameters,
        lr=lr,
        momentum=options.momentum,
        nesterov=options.nesterov,
        weight_decay=options.weight_decay,
        fused=fused or None,
    )
    scaler = torch.amp.GradScaler(device, enabled=mixed)
    forward = torch.compile(loss_of, dynamic=False) if compiled else loss_of

    def one() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.float16 if device == "cuda" else torch.bfloat16, enabled=mixed):
            loss = forward()
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.step(optimizer)
        scaler.update()

    def run() -> None:
        for _ in range(STEPS):
            one()
        if device == "cuda":
            torch.cuda.synchronize()

    return run


def _objective(
    step: BlockStep, module: nn.Module, x: Tensor, y: Tensor, device: str
) -> tuple[Callable[[], Tensor], list[nn.Parameter]]:
    """The local loss as a function of nothing, and everything it trains."""
    head = step.new_head().to(device)
    feedback: dict[str, Any] = {k: v.to(device) for k, v in step.objective.feedback_state().items()}

    def loss_of() -> Tensor:
        nonlocal feedback
        a = module(x)
        with torch.no_grad():
            feedback = step.objective.renew_feedback(feedback, a.detach(), y)
        loss: Tensor = step.objective.loss(head, feedback, a, y)[0]
        return loss

    return loss_of, [*module.parameters(), *head.parameters()]


def _set_float32() -> None:
    """Whole float32 products, as in the engines; let cuDNN race its algorithms."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
