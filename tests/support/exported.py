"""Small bundles made by the real exporter, for tests that need real training steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.spec.fine_tuning import FineTuning
from edgebll.kernel.spec.last_batch import DROP, MASK
from edgebll.learning import BLL, SGD, AdamW, Optimizer, Rule, fine_tuned, make_rule
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.networks.inputs import Inputs
from edgebll_export import export_bundle, make_target

BATCH_SIZE = 8


def mlp(path: Path, target: str = "onnx") -> Bundle:
    """Two dense blocks with batch normalisation, trained by BLL."""
    network = make_network("mlp", num_blocks=2, num_classes=5, input_shape=(1, 6, 6), seed=0)
    return _export(network, "bll", SGD(), path, target)


def forms(path: Path, target: str = "onnx") -> Bundle:
    """Two blocks trained by BLL with every further term, a schedule and a learnt variance, in batches told their count."""
    network = make_network("mlp", num_blocks=2, num_classes=5, input_shape=(1, 6, 6), seed=0, options={"width": 24})
    match: dict[str, Any] = {"match": 0.1, "match_on": "standardised", "match_schedule": "decaying", "match_steps": 9}
    terms: dict[str, Any] = {"entropy": 0.1, "spread": 0.5, "decorrelate_channels": 0.1, "soften": 0.3, "reconstruct": 0.5}
    rule = BLL(target="simplex", variance="learned", head="auglocal", **match, **terms)
    return _export(network, rule, SGD(), path, target, last_batch=MASK)


def resnet(path: Path, target: str = "onnx") -> Bundle:
    """The residual network in two blocks, trained greedily: strided convolutions and shortcuts."""
    network = make_network("resnet8", num_blocks=2, num_classes=4, input_shape=(1, 12, 12), seed=1)
    return _export(network, "greedy", SGD(momentum=0.9, nesterov=False), path, target)


def mixed(path: Path, target: str = "onnx") -> Bundle:
    """Grouped, dilated and strided convolutions, both poolings and several activations in two BLL blocks, trained by AdamW."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        first = nn.Sequential(
            nn.Conv2d(2, 6, 3, padding=1, groups=2), nn.LeakyReLU(0.1), nn.MaxPool2d(3, 2, padding=1), nn.Tanh()
        )
        second = nn.Sequential(
            nn.Conv2d(6, 6, 3, stride=2, padding=2, dilation=2), nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(6, 3)
        )
    network = BlockNetwork([first, second], num_classes=3, input_shape=(2, 9, 9))
    return _export(network, "bll", AdamW(lr=0.01, clip_norm=0.5), path, target)


def scanned(path: Path, target: str = "onnx") -> Bundle:
    """A dense block large enough that, for one thread, a Scan computes its update, and a small one."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        blocks = [nn.Sequential(nn.Flatten(), nn.Linear(4096, 256), nn.Tanh()), nn.Linear(256, 3)]
    network = BlockNetwork(blocks, num_classes=3, input_shape=(1, 64, 64))
    return _export(network, "bll", SGD(), path, target, threads=1 if target == "onnx" else None)


def tokens(path: Path, target: str = "onnx") -> Bundle:
    """An embedding of int64 tokens in a dense block, and a small one."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        blocks = [nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(20, 8), nn.Tanh()), nn.Linear(8, 3)]
    network = BlockNetwork(blocks, num_classes=3, input_shape=(5,), input_dtype="int64", input_range=(0, 8))
    return _export(network, "bll", SGD(), path, target)


def frozen(path: Path, target: str = "onnx") -> Bundle:
    """The residual network in three BLL blocks: nothing of the first trains, and of the second not all."""
    network = make_network("resnet8", num_blocks=3, num_classes=4, input_shape=(1, 12, 12), seed=5)
    tuned = fine_tuned(network, FineTuning(("block0", "block1.0.conv1", "block1.0.bn1")))
    return _export(tuned, "bll", SGD(), path, target)


def masked(path: Path, target: str = "onnx") -> Bundle:
    """One linear layer, a frozen one before it, whose step is told how many samples count, trained by plain SGD."""
    with torch.random.fork_rng():
        torch.manual_seed(6)
        blocks = [nn.Linear(6, 6).requires_grad_(False), nn.Linear(6, 3)]
    network = BlockNetwork(blocks, num_classes=3, input_shape=(6,))
    optimizer = SGD(lr=0.1, momentum=0.0, nesterov=False, weight_decay=0.0)
    return _export(network, "bll", optimizer, path, target, last_batch=MASK)


class _Read(nn.Module):
    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.own, self.others = nn.Linear(features, width), nn.Linear(3, width)

    def forward(self, x: Tensor, readings: Tensor) -> Tensor:
        return torch.tanh(self.own(x) + self.others(readings))


class _Judge(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.kinds, self.last = nn.Embedding(5, width), nn.Linear(width, 3)

    def forward(self, x: Tensor, kind: Tensor, readings: Tensor) -> Tensor:
        found: Tensor = self.last(x * self.kinds(kind)) + readings
        return found


def inputs(path: Path, target: str = "onnx") -> Bundle:
    """Samples of a vector, readings and a whole number: the first and the third block read some, the second hands them on."""
    with torch.random.fork_rng():
        torch.manual_seed(6)
        blocks = [_Read(7, 8), nn.Sequential(nn.Linear(8, 8), nn.Tanh()), _Judge(8)]
    side = {"readings": Inputs((3,)), "kind": Inputs((), "int64", (0, 4))}
    network = BlockNetwork(blocks, num_classes=3, input_shape=(7,), side_inputs=side)
    return _export(network, "bll", SGD(), path, target)


def _export(
    network: BlockNetwork,
    rule: str | Rule,
    optimizer: Optimizer,
    path: Path,
    target: str,
    threads: int | None = None,
    last_batch: str = DROP,
) -> Bundle:
    made = make_rule(rule) if isinstance(rule, str) else rule
    how = {"rule": made, "optimizer": optimizer, "batch_size": BATCH_SIZE, "last_batch": last_batch}
    export_bundle(network, path=path, target=make_target(target, threads=threads), **how)  # type: ignore[arg-type]
    return open_bundle(path)
