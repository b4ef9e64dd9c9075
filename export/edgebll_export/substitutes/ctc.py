"""Connectionist temporal classification: the loss by its forward recursion over time, unrolled."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_NEVER = -1e30  # log of a probability of 0, with gradients that stay finite


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor | Sequence[int],
    target_lengths: Tensor | Sequence[int],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Log-probabilities (T, N, C) or (T, C) and labels (N, S) or (S) to a loss a sample, their mean or sum."""
    steps, labels = torch.as_tensor(input_lengths), torch.as_tensor(target_lengths)
    if log_probs.ndim == 2:
        of_one = log_probs.unsqueeze(1), targets.unsqueeze(0), steps.reshape(1), labels.reshape(1)
        loss = ctc_loss(*of_one, blank, reduction, zero_infinity)
        return loss.reshape(())
    if targets.ndim == 1:
        raise ValueError("ctc_loss with labels one after another has no static form; pass them as (N, S), padded")
    losses = _negative_log_likelihood(log_probs, targets, steps, labels, blank)
    impossible = losses > -_NEVER / 2
    losses = torch.where(impossible, 0.0 if zero_infinity else torch.inf, losses)
    counted = ~impossible if zero_infinity else torch.ones_like(impossible)
    losses = losses + _as_autograd_has_it(log_probs, steps, counted)
    if reduction == "mean":
        return (losses / labels.clamp_min(1)).mean()
    return losses.sum() if reduction == "sum" else losses


def _negative_log_likelihood(log_probs: Tensor, targets: Tensor, steps: Tensor, labels: Tensor, blank: int) -> Tensor:
    batch, length = targets.shape
    path = torch.stack([torch.full_like(targets, blank), targets], -1).flatten(1)
    path = torch.cat([path, torch.full_like(targets[:, :1], blank)], 1)  # (N, 2 S + 1), a blank around every label
    jumps = (path[:, 2:] != blank) & (path[:, 2:] != path[:, :-2])
    scores = log_probs.gather(2, path.unsqueeze(0).expand(log_probs.shape[0], batch, 2 * length + 1))
    alpha = torch.where(torch.arange(2 * length + 1) < 2, scores[0], _NEVER)
    for time in range(1, log_probs.shape[0]):
        near = torch.cat([torch.full_like(alpha[:, :1], _NEVER), alpha[:, :-1]], 1)
        far = torch.cat([torch.full_like(alpha[:, :2], _NEVER), torch.where(jumps, alpha[:, :-2], _NEVER)], 1)
        moved = torch.stack([alpha, near, far]).logsumexp(0) + scores[time]
        alpha = torch.where((time < steps).unsqueeze(1), moved.clamp_min(_NEVER), alpha)
    last = 2 * labels.unsqueeze(1)
    ends = torch.cat([last, (last - 1).clamp_min(0)], 1)
    final = alpha.gather(1, ends)
    second = torch.where(labels > 0, final[:, 1], _NEVER)
    return -torch.stack([final[:, 0], second]).logsumexp(0)


def _as_autograd_has_it(log_probs: Tensor, steps: Tensor, counted: Tensor) -> Tensor:
    """0, with the gradient by which PyTorch's differs: it takes log_probs for the result of a log_softmax."""
    used = (torch.arange(log_probs.shape[0]).unsqueeze(1) < steps) & counted
    share = torch.where(used.unsqueeze(-1), log_probs.detach().exp(), 0.0)
    return (share * (log_probs - log_probs.detach())).sum((0, 2))
