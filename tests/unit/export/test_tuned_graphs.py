"""Exported graphs of networks with adapters and with rates by pattern, beside plain PyTorch loops written out here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.plain_training import BATCH, CLASSES, LR, batches, by_graph, network_of, normal
from support.slow import slow_after
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.kernel.spec.fine_tuning import FineTuning
from edgebll.learning import SGD, Greedy, make_rule
from edgebll.learning.networks import make_network
from edgebll_export import export_bundle, verify_bundle

MOMENTUM, DECAY, RANK, ALPHA = 0.9, 0.01, 2, 3.0
SHAPE = (2, 7, 7)


def block() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(2, 4, 3, stride=2), nn.BatchNorm2d(4), nn.Tanh(), nn.Conv2d(4, 6, 2))
    layers[1].running_mean.fill_(0.3)
    return layers


def export(tuning: FineTuning, folder: Path, examples: Tensor) -> None:
    optimizer = SGD(lr=LR, momentum=MOMENTUM, nesterov=False, weight_decay=DECAY)
    network = network_of(block(), examples)
    export_bundle(
        network, rule=Greedy(head_size=1), optimizer=optimizer, batch_size=BATCH, path=folder, fine_tuning=tuning
    )  # fmt: skip


class PlainSGD:
    """SGD with momentum and weight decay, one factor of the rate and one decay a tensor."""

    def __init__(self, tensors: dict[str, Tensor], factors: dict[str, float], decays: dict[str, float]) -> None:
        self.tensors, self.factors, self.decays = tensors, factors, decays
        self.moments = {name: torch.zeros_like(value) for name, value in tensors.items()}

    def step(self, loss: Tensor) -> None:
        gradients = torch.autograd.grad(loss, list(self.tensors.values()))
        with torch.no_grad():
            for (name, value), gradient in zip(self.tensors.items(), gradients, strict=True):
                moment = self.moments[name]
                moment.mul_(MOMENTUM).add_(gradient + self.decays.get(name, DECAY) * value)
                value -= LR * self.factors.get(name, 1.0) * moment


def started(start: dict[str, np.ndarray], *names: str) -> dict[str, Tensor]:
    return {name: torch.from_numpy(start[name].copy()).requires_grad_() for name in names}


def loss_of(a: Tensor, y: Tensor, own: dict[str, Tensor]) -> Tensor:
    return F.cross_entropy(F.linear(a.flatten(2).mean(2), own["head.weight"], own["head.bias"]), y)


def check(own: dict[str, Tensor], states: list[dict[str, np.ndarray]]) -> None:
    for name, value in own.items():
        expected, moved = value.detach().numpy(), np.abs(states[-1][name] - states[0][name]).max()
        assert moved > 0, name
        assert np.abs(states[-1][name] - expected).max() <= 1e-3 * moved, name


def test_six_steps_with_adapters_equal_plain_pytorch(tmp_path: Path) -> None:
    seen = batches(normal(*SHAPE))
    export(FineTuning(adapter="lora", rank=RANK, alpha=ALPHA), tmp_path, seen[0][0])
    states = [dict(state) for state in by_graph(tmp_path, seen)]
    corrections = [f"net.{layer}.lora_{which}" for layer in (0, 3) for which in "ab"]
    own = started(states[0], *corrections, "head.weight", "head.bias")
    assert sorted(n for n in states[0] if n.startswith("net.") and "lora" in n) == sorted(corrections)
    plain, descent = block().eval(), PlainSGD(own, {}, {})

    def corrected(x: Tensor, layer: int) -> Tensor:
        convolution = plain.get_submodule(str(layer))
        assert isinstance(convolution, nn.Conv2d)
        a, b = (own[f"net.{layer}.lora_{which}"] for which in "ab")
        weight = convolution.weight.detach() + ALPHA / RANK * torch.einsum("or,rikl->oikl", b, a)
        assert convolution.bias is not None
        return F.conv2d(x, weight, convolution.bias.detach(), convolution.stride)

    for x, y in seen:
        descent.step(loss_of(corrected(torch.tanh(plain.get_submodule("1")(corrected(x, 0))), 3), y, own))
    check(own, states)


def test_six_steps_with_rates_by_pattern_equal_plain_pytorch(tmp_path: Path) -> None:
    seen = batches(normal(*SHAPE))
    tuning = FineTuning(("block0.[01]",), lr_for={"3.weight": 0.5, "*.bias": 3.0}, decay_for={"3.*": 0.2})
    export(tuning, tmp_path, seen[0][0])
    states = [dict(state) for state in by_graph(tmp_path, seen)]
    own = started(states[0], "net.3.weight", "net.3.bias", "head.weight", "head.bias")
    factors, decays = {"net.3.weight": 0.5, "net.3.bias": 3.0}, {"net.3.weight": 0.2, "net.3.bias": 0.2}
    plain, descent = block().eval()[:3], PlainSGD(own, factors, decays)
    for x, y in seen:
        a = F.conv2d(plain(x).detach(), own["net.3.weight"], own["net.3.bias"])
        descent.step(loss_of(a, y, own))
    check(own, states)


@pytest.mark.parametrize("rule", slow_after(1, ["bll", "infopro", "backlink", "fa"]))
def test_every_rule_exports_adapters_that_equal_the_modules_own(rule: str, tmp_path: Path) -> None:
    made = make_rule(rule)
    network = make_network("resnet8", num_blocks=1 if made.one_block else 2, num_classes=CLASSES, input_shape=(1, 8, 8), seed=0)
    tuning = FineTuning(adapter="lora", rank=1, trainable="head")
    export_bundle(network, rule=made, optimizer=SGD(), batch_size=4, path=tmp_path, fine_tuning=tuning)
    assert not [row for row in verify_bundle(tmp_path, steps=2) if row.failed]
