"""Neurons as loops over time that are written out, to judge those of edgebll by.

Spikes are straight-through: what comes out is 0 or 1, and the gradient that of a smooth function whose derivative is the
surrogate's. So PyTorch's autograd finds that derivative by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

#: Name -> a function whose derivative is the surrogate of that name, at its usual slope.
SMOOTH: dict[str, Callable[[Tensor], Tensor]] = {
    "fast_sigmoid": lambda u: u / (1 + 25 * u.abs()),
    "superspike": lambda u: u / (1 + 100 * u.abs()),
    "arctan": lambda u: torch.atan(math.pi * u) / math.pi,
    "triangular": lambda u: torch.where(u.abs() < 1, u - u * u.abs() / 2, torch.sign(u) / 2),
}


def spikes_of(u: Tensor, surrogate: str) -> Tensor:
    """1 where u > 0, else 0."""
    smooth = SMOOTH[surrogate](u)
    hard = torch.tensor([[float(value > 0) for value in row] for row in u.detach().tolist()], dtype=u.dtype)
    return hard + smooth - smooth.detach()


def run(kind: str, x: Tensor, given: dict[str, float], reset: str, surrogate: str, refractory: int = 0) -> Tensor:
    """What neurons give (B, T, F) of currents x (B, T, F), one time step after another, from rest.

    Args:
        kind: "if", "lif", "cuba_lif", "alif", "li" or "cuba_li".
        x: currents.
        given: values by name, with dt.
        reset: "value" or "subtract".
        surrogate: name of the surrogate gradient.
        refractory: steps after a spike without one.
    """
    v, i, b = (torch.zeros_like(x[:, 0]) for _ in range(3))
    last = torch.full_like(v, -1e9)
    dt, r, leak, outs = given["dt"], given.get("r", 1.0), given.get("v_leak", 0.0), []
    for t in range(x.shape[1]):
        current, before = x[:, t], v
        if kind.startswith("cuba"):
            i = i + (dt / given["tau_syn"]) * (-i + given["w_in"] * current)
            current = i
        if kind == "if":
            v = v + r * current
        else:
            v = v + (dt / given["tau_mem" if kind.startswith("cuba") else "tau"]) * ((leak - v) + r * current)
        if kind in ("li", "cuba_li"):
            outs.append(v)
            continue
        resting = t - last <= refractory
        v = torch.where(resting, before, v)
        threshold = given["v_threshold"] + given.get("beta", 0.0) * b
        s = spikes_of(v - threshold, surrogate) * (~resting).float()
        fired = s.detach() > 0.5
        last = torch.where(fired, float(t), last)
        if kind == "alif":
            b = b - (dt / given["tau_adapt"]) * b + s
        v = torch.where(fired, v - threshold.detach() if reset == "subtract" else torch.full_like(v, given["v_reset"]), v)
        outs.append(s)
    return torch.stack(outs, 1)
