"""The blocks the benchmarks measure: one of each kind that people put on boards."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.learning import SGD, BlockStep, make_rule, make_steps
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.networks.resnet import BasicBlock
from edgebll_export import export_bundle, make_target

CLASSES = 10
LR = 0.01
Inputs = tuple[Tensor, Tensor]


class Residual(nn.Module):
    """X + body(x)."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, x: Tensor) -> Tensor:
        """Any shape that the body keeps."""
        total: Tensor = x + self.body(x)
        return total


class Attention(nn.Module):
    """Multi-head self-attention over (B, T, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inward = nn.Linear(width, 3 * width)
        self.outward = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to the same."""
        batch, tokens, width = x.shape
        parts = self.inward(x).reshape(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        joined: Tensor = self.outward(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return joined


class TransformerLayer(nn.Module):
    """A pre-norm transformer layer that takes and gives channels first: (B, D, T)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = Residual(nn.LayerNorm(width), Attention(width, heads))
        hidden = 4 * width
        self.mixing = Residual(nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, T) to the same."""
        result: Tensor = self.mixing(self.attention(x.transpose(1, 2))).transpose(1, 2)
        return result


def _convolution(inner: int, outer: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    layer = nn.Conv2d(inner, outer, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(outer), nn.ReLU()]


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU())


def _small_convolution() -> nn.Module:
    return nn.Sequential(*_convolution(1, 16, 3), *_convolution(16, 32, 3, stride=2))


def _depthwise() -> nn.Module:
    """Two units of MobileNet (Howard et al. 2017, arXiv 1704.04861): depthwise 3x3, pointwise 1x1."""
    first = [*_convolution(64, 64, 3, groups=64), *_convolution(64, 128, 1)]
    second = [*_convolution(128, 128, 3, stride=2, groups=128), *_convolution(128, 128, 1)]
    return nn.Sequential(*first, *second)


@dataclass(frozen=True)
class Kind:
    """A kind of block: how to make it and the shape of one sample of its input. `words` describes it in the tables."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    words: str


KINDS: dict[str, Kind] = {
    "mlp": Kind(_mlp, (1, 28, 28), "Linear 784-256-256 with ReLU"),
    "conv": Kind(_small_convolution, (1, 28, 28), "3x3 convolutions 1-16-32, the second of stride 2, batch norm; 28x28"),
    "depthwise": Kind(_depthwise, (64, 14, 14), "two MobileNet units 64-128-128, the second with stride 2; 14x14"),
    "resnet18-64": Kind(lambda: BasicBlock(64, 64, 1), (64, 28, 28), "ResNet-18 basic block of 64 channels; 28x28"),
    "resnet18-256": Kind(lambda: BasicBlock(128, 256, 2), (128, 14, 14), "ResNet-18 basic block 128-256, stride 2; 14x14"),
    "resnet18-512": Kind(lambda: BasicBlock(512, 512, 1), (512, 4, 4), "ResNet-18 basic block of 512 channels; 4x4"),
    "transformer": Kind(lambda: TransformerLayer(128, 4), (128, 49), "transformer layer: width 128, 4 heads, 49 tokens"),
}


class Block:
    """One block of a kind under block-local learning, and a batch to train it on.

    Attributes:
        step: the pure training step. module: the torch module behind it. inputs: x, and y one-hot.
    """

    def __init__(self, kind: str, batch: int) -> None:
        chosen = KINDS[kind]
        torch.manual_seed(0)
        self.kind, self.batch = kind, batch
        self.module = chosen.make()
        a = self.module(torch.zeros(2, *chosen.shape))
        classifier = nn.Sequential(nn.Flatten(), nn.Linear(a[0].numel(), CLASSES))
        self._network = BlockNetwork([self.module, classifier], CLASSES, chosen.shape)
        self._rule, self.optimizer = make_rule("bll"), SGD()
        self.step: BlockStep = make_steps(self._network, self._rule, self.optimizer, batch)[0]
        labels = torch.randint(0, CLASSES, (batch,))
        self.inputs: Inputs = (torch.randn(batch, *chosen.shape), F.one_hot(labels, CLASSES).float())

    @property
    def name(self) -> str:
        """The block's name in its bundle."""
        return self.step.name

    def export(self, folder: Path, threads: int | None = None) -> Bundle:
        """Write the bundle that a board loads, for a number of threads if given."""
        target = make_target(threads=threads)
        export_bundle(
            self._network, rule=self._rule, optimizer=self.optimizer, batch_size=self.batch, path=folder, target=target
        )
        return open_bundle(folder)


@contextlib.contextmanager
def exported(kind: str, batch: int, threads: int | None = None) -> Iterator[tuple[Block, Bundle]]:
    """A block of a kind and its bundle, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        block = Block(kind, batch)
        yield block, block.export(Path(folder) / "bundle", threads)
