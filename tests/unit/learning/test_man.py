"""MAN and MAN++ against plain PyTorch in one process, which keeps what the next block's first layer was, element by element."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.learning import MAN, SGD, BlockStep, SideStreams, make_steps
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.rules.man.step import ROW

BATCH, STEPS, CLASSES = 8, 7, 5
OPTIMIZER = SGD(momentum=0.9, nesterov=True, weight_decay=1e-3)


def rate(step: int) -> float:
    return 0.05 / (1 + step)


def convolutions() -> BlockNetwork:
    """A plain network of one's own: the second block begins with a layer without parameters, the last with several."""
    torch.manual_seed(0)
    first = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.BatchNorm2d(4))
    second = nn.Sequential(nn.ReLU(), nn.Conv2d(4, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())
    return BlockNetwork([first, second, nn.Sequential(nn.Flatten(), nn.Linear(24, CLASSES))], CLASSES, (1, 8, 8))


def shipped(name: str, blocks: int, shape: tuple[int, ...], **options: int) -> Callable[[], BlockNetwork]:
    return lambda: make_network(
        name, num_blocks=blocks, num_classes=CLASSES, input_shape=shape, seed=0, options={**options} or None
    )


#: Network, and how many children its blocks' first layers are.
NETWORKS: dict[str, tuple[Callable[[], BlockNetwork], list[int]]] = {
    "mlp": (shipped("mlp", 3, (1, 4, 4), width=6), [1, 1, 1]),
    "resnet8": (shipped("resnet8", 3, (1, 8, 8), width=4), [1, 1, 1]),
    "transformer": (shipped("transformer", 3, (4, 6), depth=3, dim=8, hidden=8), [1, 1, 1]),
    "convolutions": (convolutions, [1, 2, 2]),
}


class Chain:
    """The blocks of a network under a rule, step by step."""

    def __init__(self, network: BlockNetwork, rule: MAN) -> None:
        self.steps: list[BlockStep] = make_steps(network, rule, OPTIMIZER, BATCH)
        self.states = [step.initial_state() for step in self.steps]
        self.streams = SideStreams([step.spec for step in self.steps], rule.edges([step.name for step in self.steps]))

    def train(self, x: Tensor, y: Tensor, lr: float) -> tuple[list[float], list[dict[str, Tensor]]]:
        """One step of all blocks: their losses, and what each sent."""
        losses, messages = [], []
        for k, step in enumerate(self.steps):
            came = self.streams.take(step.name)
            self.states[k], x, metrics, sent = step(self.states[k], x, y, {"lr": torch.tensor(lr)}, came)
            self.streams.put(step.name, sent)
            losses.append(metrics[0].item())
            messages.append(sent)
        return losses, messages


def batches(network: BlockNetwork) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    where = (BATCH, *network.shapes[-1][:-1])
    labels = [torch.randint(0, CLASSES, where, generator=generator) for _ in range(STEPS)]
    return [(torch.randn(BATCH, *network.input_shape, generator=generator), torch.eye(CLASSES)[y]) for y in labels]


class Plain:
    """A block, and what its auxiliary network is by the paper: two layers, one number and a classifier."""

    def __init__(self, block: nn.Module, following: nn.Module, head: nn.Module, rule: MAN) -> None:
        self.block, self.following, self.rule = block, following, rule
        self.learned, self.average = copy.deepcopy(following), copy.deepcopy(following)
        self.scale = torch.tensor(1.0, requires_grad=rule.scaling)
        self.classifier = head.get_submodule("classifier")
        trained: list[Tensor] = [*block.parameters(), *self.learned.parameters(), *self.classifier.parameters()]
        trained += [self.scale] if rule.scaling else []
        self.optimizer = torch.optim.SGD(trained, lr=1, momentum=0.9, nesterov=True, weight_decay=1e-3)
        self.were: list[Tensor] = []
        self.targets: dict[int, Tensor] = {}

    def renew(self, step: int) -> None:
        """Each element of the moving average whose turn it was `lag` steps ago."""
        self.were.append(flat(self.following))
        then = step - self.rule.lag
        if then < 0:
            return
        average, kept = flat(self.average), self.rule.momentum**self.rule.period
        part = math.ceil(len(average) / self.rule.period)
        for i in range(len(average)):
            if i // part == then % self.rule.period:
                average[i] = kept * average[i] + (1 - kept) * self.were[then][i]
        with torch.no_grad():
            torch.nn.utils.vector_to_parameters(average, self.average.parameters())

    def match(self, a: Tensor, y: Tensor) -> Tensor:
        """BLL's match: targets are moving averages of the means of each class, positions are samples."""
        rows, labels = (list(a), list(y)) if y.dim() == 2 else (list(torch.cat(list(a))), list(torch.cat(list(y))))
        pooled = [row.flatten(1).mean(1) if row.dim() > 1 else row for row in rows]
        total = torch.zeros(())
        for c in range(CLASSES):
            own = [row for row, label in zip(pooled, labels, strict=True) if label[c] == 1]
            if own:
                old = self.targets.get(c, torch.zeros_like(own[0]))
                self.targets[c] = 0.9 * old + 0.1 * torch.stack(own).mean(0).detach()
                total = total + sum((row - self.targets[c]).square().sum() for row in own)
        return self.rule.match / 8 * total / len(rows)

    def loss(self, a: Tensor, y: Tensor) -> Tensor:
        return self.predicted(a, y) + (self.match(a, y) if self.rule.match else 0.0)

    def predicted(self, a: Tensor, y: Tensor) -> Tensor:
        mixed = self.scale * self.learned(a) + (2 - self.scale) * self.average(a)
        if y.dim() == 2:
            return F.cross_entropy(self.classifier(mixed), y)
        return F.cross_entropy(self.classifier(torch.cat(list(mixed))), torch.cat(list(y)))


def flat(layer: nn.Module) -> Tensor:
    return torch.cat([value.detach().flatten() for value in layer.parameters()])


@pytest.mark.parametrize(("lag", "period", "scaling", "match"), [(1, 1, False, 0.0), (2, 3, True, 0.0), (2, 2, True, 0.7)])
@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_one_process_that_keeps_a_moving_average(name: str, lag: int, period: int, scaling: bool, match: float) -> None:
    build, sizes = NETWORKS[name]
    network, rule = build(), MAN(lag=lag, period=period, scaling=scaling, match=match, momentum=0.9, hidden_layers=1)
    chain = Chain(network, rule)
    blocks: list[nn.Sequential] = list(copy.deepcopy(network.blocks).train())  # type: ignore[arg-type]
    firsts = [block[:size] for block, size in zip(blocks, sizes, strict=True)]
    plain = [Plain(blocks[k], firsts[k + 1], step.new_head().train(), rule) for k, step in enumerate(chain.steps[:-1])]
    last = torch.optim.SGD(blocks[-1].parameters(), lr=1, momentum=0.9, nesterov=True, weight_decay=1e-3)
    for number, (x, y) in enumerate(batches(network)):
        losses, _ = chain.train(x, y, rate(number))
        for one in plain:
            one.renew(number)
        a, expected = x, []
        for one in plain:
            out = one.block(a)
            expected.append(one.loss(out, y))
            a = out.detach()
        expected.append(F.cross_entropy(blocks[-1](a).flatten(0, -2), y.flatten(0, -2)))
        torch.testing.assert_close(torch.tensor(losses), torch.stack(expected), rtol=2e-5, atol=1e-5)
        for optimizer, loss in zip([*(one.optimizer for one in plain), last], expected, strict=True):
            optimizer.param_groups[0]["lr"] = rate(number)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for state, block in zip(chain.states, blocks, strict=True):
        check(state, "net.", block)
    for state, one in zip(chain.states, plain, strict=False):
        for part, module in (("learned", one.learned), ("average", one.average), ("classifier", one.classifier)):
            check(state, f"head.{part}.", module)
        assert not torch.equal(flat(one.average), one.were[0]), "nothing was lent"
        if scaling:
            torch.testing.assert_close(state["head.scale"], one.scale.detach(), rtol=2e-4, atol=2e-6)


def check(state: dict[str, Tensor], prefix: str, module: nn.Module) -> None:
    for name, value in module.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        torch.testing.assert_close(
            state[prefix + name], value, rtol=2e-4, atol=5e-6, msg=lambda text, n=name: f"{prefix}{n}: {text}"
        )


@pytest.mark.parametrize("period", [1, 4, 7, 1000])
def test_every_parameter_travels_once_in_a_period(period: int) -> None:
    """In parts of equal size, each with its place; 42 parameters also where there are fewer of them than steps."""
    network = BlockNetwork([nn.Linear(6, 6), nn.Sequential(nn.Linear(6, 6), nn.Linear(6, CLASSES))], CLASSES, (6,))
    chain = Chain(network, MAN(period=period, hidden_layers=0))
    ((x, y), *_) = batches(network)
    found: list[float] = []
    for number in range(min(period, 43)):
        messages = chain.train(x, y, 0.0)[1]
        assert set(messages[0]) == set(), "nobody borrows of the first block"
        row, *part = messages[1]["lent"].tolist()
        assert row == number + 1
        assert len(part) == math.ceil(42 / period)
        found += part
    assert found[:42] == flat(network.blocks[1][0]).tolist()
    assert found[42:] == [0.0] * (len(found) - 42)
    assert chain.states[1][ROW] == (43 if period == 1000 else 0)


def test_the_first_steps_borrow_nothing() -> None:
    """Until the first message has come, the moving average is what it was; the layer beside it learns at once."""
    network = NETWORKS["mlp"][0]()
    chain = Chain(network, MAN(lag=3, period=1, momentum=0.0))
    seen, lent = [], [chain.states[1]["net.0.0.weight"]]
    assert torch.equal(chain.states[0]["head.average.0.0.weight"], lent[0])
    for x, y in batches(network):
        chain.train(x, y, 0.05)
        seen.append(chain.states[0]["head.average.0.0.weight"])
        lent.append(chain.states[1]["net.0.0.weight"])
    assert all(torch.equal(value, lent[0]) for value in seen[:3])
    assert all(torch.equal(seen[t], lent[t - 3]) for t in range(3, STEPS)), "with m = 0 it is the layer of three steps ago"
    assert not torch.equal(chain.states[0]["head.learned.0.0.weight"], lent[0])
