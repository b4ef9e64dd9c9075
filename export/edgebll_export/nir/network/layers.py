"""Nodes of NIR that are no neurons of ours and no layers of PyTorch's."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgebll.learning.networks.spiking.neuron import Neuron, State, Value
from edgebll.learning.networks.spiking.surrogates import Surrogate, spike


class Integrator(Neuron):
    """NIR's I: v = v + r x, and v comes out; without dt, as of IF.

    Args:
        r: resistance.
    """

    def __init__(self, r: Value) -> None:
        super().__init__({"r": r})

    def step(self, state: State, current: Tensor) -> tuple[State, Tensor]:
        """Integrate; the potential comes out."""
        v = state["v"] + self.own("r") * current
        return {"v": v}, v


class DelayLine(nn.Module):
    """NIR's Delay: what came in some steps ago, zero before the start.

    Args:
        steps: whole time steps, one for all.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def initial(self, current: Tensor) -> State:
        """Nothing on the way yet."""
        return {f"past{index}": torch.zeros_like(current) for index in range(self.steps)}

    def step(self, state: State, current: Tensor) -> tuple[State, Tensor]:
        """One step on for all that is on the way."""
        way = [state[f"past{index}"] for index in range(self.steps)] + [current]
        return {f"past{index}": value for index, value in enumerate(way[1:])}, way[0]

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, ...) to (B, T, ...)."""
        if not self.steps:
            return x
        late = min(self.steps, x.shape[1])
        return torch.cat([torch.zeros_like(x[:, :late]), x[:, : x.shape[1] - late]], 1)


class Scaling(nn.Module):
    """NIR's Scale: x times a number each.

    Args:
        scale: broadcasts to a sample of a time step.
    """

    scale: Tensor

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) to (B, ...)."""
        return x * self.scale


class Thresholding(nn.Module):
    """NIR's Threshold: 1 where x is above it, else 0.

    Args:
        threshold: broadcasts to a sample of a time step.
        surrogate: name of the surrogate gradient.
        slope: of the surrogate; 0 for its usual one.
    """

    threshold: Tensor

    def __init__(self, threshold: Tensor, surrogate: str, slope: float) -> None:
        super().__init__()
        self.register_buffer("threshold", threshold)
        self.surrogate = Surrogate(surrogate, slope)

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) to (B, ...)."""
        return spike(x - self.threshold, self.surrogate)


class SumPooling(nn.Module):
    """NIR's SumPool2d.

    An average times the size of the window has the sum's bits where that is a power of two; else a convolution of ones adds up.

    Args:
        kernel: height and width of the window.
        stride: from one window to the next, down and across.
        padding: zeros around the map.
    """

    def __init__(self, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = kernel, stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H', W')."""
        size = self.kernel[0] * self.kernel[1]
        if size & (size - 1) == 0:
            return size * F.avg_pool2d(x, self.kernel, self.stride, self.padding)
        ones = torch.ones(x.shape[1], 1, *self.kernel, dtype=x.dtype)
        return F.conv2d(x, ones, None, self.stride, self.padding, groups=x.shape[1])
