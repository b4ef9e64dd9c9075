"""Training a network block by block in plain PyTorch, beside its graphs on ONNX Runtime; nothing of edgebll learns here.

Every block but the last has a linear classifier on the mean over all axes behind the first, and the cross-entropy of it as its
loss; the last has the cross-entropy of its own scores; SGD without anything.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.kernel.bundle import Bundle

BATCH, STEPS, LR = 4, 6, 1e-3
#: Relative size of the rounding that float32 gives an image, and how often it is tried.
ROUNDING, TRIALS = 1e-6, 2
#: Of float32.
EPSILON = 2.0**-24
State = dict[str, np.ndarray]


def batches(shape: Sequence[int], classes: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Images and labels of every step."""
    generator = torch.Generator().manual_seed(5)
    for _ in range(STEPS):
        yield torch.randn(BATCH, *shape, generator=generator), torch.randint(classes, (BATCH,), generator=generator)


def on_onnxruntime(bundle: Bundle) -> dict[str, State]:
    """The state of every block after STEPS steps of its graph."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    manifest = bundle.manifest
    states = {block.name: bundle.state(block.name) for block in manifest.blocks}
    sessions = {
        name: onnxruntime.InferenceSession(bundle.graph(name, "step"), options, providers=["CPUExecutionProvider"])
        for name in states
    }
    for image, labels in batches(manifest.input_shape, manifest.num_classes):
        x, y = image.numpy(), F.one_hot(labels, manifest.num_classes).float().numpy()
        for name, session in sessions.items():
            names = [output.name for output in session.get_outputs()]
            inputs = {**states[name], "x": x, "y": y, "lr": np.asarray(LR, np.float32)}
            results = dict(zip(names, session.run(names, inputs), strict=True))
            states[name], x = {key: results[f"{key}.next"] for key in states[name]}, results["a"]
    return states


class Plain:
    """A block and its classifier in plain PyTorch; `tensors` are named as in a bundle's state."""

    def __init__(self, block: nn.Module, start: State, dtype: torch.dtype, *, last: bool) -> None:
        self.module = copy.deepcopy(block).to(dtype).train()
        names = () if last else ("head.weight", "head.bias")
        self.head = {name: torch.from_numpy(start[name].copy()).to(dtype).requires_grad_() for name in names}

    def step(self, x: Tensor, labels: Tensor) -> Tensor:
        """One step; the block's output."""
        a = self.module(x)
        scores = a
        if self.head:
            pooled = a.flatten(2).mean(2) if a.dim() > 2 else a
            scores = pooled @ self.head["head.weight"].t() + self.head["head.bias"]
        trained = [value for value in (*self.module.parameters(), *self.head.values()) if value.requires_grad]
        gradients = torch.autograd.grad(F.cross_entropy(scores, labels), trained)
        with torch.no_grad():
            for value, gradient in zip(trained, gradients, strict=True):
                value -= LR * gradient
        return a.detach()

    def tensors(self) -> dict[str, Tensor]:
        """Everything that training changes."""
        module = {
            f"net.{name}": value.detach() for name, value in self.module.state_dict().items() if value.is_floating_point()
        }
        return {**module, **{name: value.detach() for name, value in self.head.items()}}


def in_torch(blocks: Sequence[nn.Module], bundle: Bundle, dtype: torch.dtype, noise: int = 0) -> dict[str, dict[str, Tensor]]:
    """The tensors of every block after STEPS steps; on images off by rounding, seeded by `noise`, if it is not 0."""
    names = [block.name for block in bundle.manifest.blocks]
    plain = [Plain(b, bundle.state(name), dtype, last=name == names[-1]) for b, name in zip(blocks, names, strict=True)]
    generator = torch.Generator().manual_seed(noise)
    for image, labels in batches(bundle.manifest.input_shape, bundle.manifest.num_classes):
        x = image * (1 + ROUNDING * bool(noise) * torch.randn(image.shape, generator=generator))
        x = x.to(dtype)
        for block in plain:
            x = block.step(x, labels)
    return {name: block.tensors() for name, block in zip(names, plain, strict=True)}


def largest_errors(blocks: Sequence[nn.Module], bundle: Bundle) -> list[tuple[float, float]]:
    """Of each block: of the graphs, and of plain PyTorch in float32, against plain PyTorch in float64.

    Each is relative to how far the tensor moved, but at least to a hundredth of what moved farthest in its block, because what
    moves less is zero but for rounding, such as a bias before a batch norm; and at least to a thousand times what six
    roundings of its own numbers make, which no arithmetic in float32 can do without.
    """
    exact, graphs = in_torch(blocks, bundle, torch.float64), on_onnxruntime(bundle)
    single = [in_torch(blocks, bundle, torch.float32, noise) for noise in range(TRIALS + 1)]
    found = []
    for name, tensors in exact.items():
        start = bundle.state(name)
        moved = {key: float(np.abs(value.numpy() - start[key]).max()) for key, value in tensors.items() if key in start}
        least = 0.01 * max(moved.values())
        rounding = {key: 1000 * STEPS * EPSILON * float(np.abs(start[key]).max(initial=0)) for key in moved}
        scale = {key: max(distance, least, rounding[key]) for key, distance in moved.items()}
        ours = max(_distance(graphs[name][key], tensors[key]) / scale[key] for key in scale)
        theirs = max(_distance(one[name][key].numpy(), tensors[key]) / scale[key] for one in single for key in scale)
        found.append((ours, theirs))
    return found


def _distance(actual: np.ndarray, exact: Tensor) -> float:
    return float(np.abs(actual - exact.numpy()).max())
