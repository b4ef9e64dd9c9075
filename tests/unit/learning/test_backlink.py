"""BackLink against one process without boundaries, gradients and updates by torch.optim; copies of units against originals."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.edge_check import EdgeSpec
from edgebll.learning import SGD, AdamW, BackLink, BlockStep, Greedy, Optimizer, SeededDropout, SideStreams, make_steps
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.rules.backlink.step import PENDING, PENDING_LR, BackLinkStep
from edgebll.learning.rules.backlink.tail import Tail

BATCH, STEPS = 8, 5


def rate(step: int) -> float:
    return 0.02 / (1 + step)


def batches(count: int, shape: tuple[int, ...] = (1, 8, 8)) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    labels = [torch.randint(0, 10, (BATCH,), generator=generator) for _ in range(count)]
    labels[0] = torch.tensor([1, 1, 1, 1, 1, 1, 1, 5])  # absent classes, and one of one sample
    return [(torch.randn(BATCH, *shape, generator=generator), torch.eye(10)[y]) for y in labels]


class Chain:
    """The blocks of a network under a rule, step by step."""

    def __init__(self, network: BlockNetwork, rule: BackLink | Greedy, optimizer: Optimizer) -> None:
        self.steps: list[BlockStep] = make_steps(network, rule, optimizer, BATCH)
        self.states = [step.initial_state() for step in self.steps]
        self.streams = SideStreams([step.spec for step in self.steps], rule.edges([step.name for step in self.steps]))

    def train(self, x: Tensor, y: Tensor, lr: float) -> list[dict[str, Tensor]]:
        """One step of all blocks; what each received."""
        came = []
        for k, step in enumerate(self.steps):
            came.append(self.streams.take(step.name))
            self.states[k], x, _, sent = step(self.states[k], x, y, {"lr": torch.tensor(lr)}, came[-1])
            self.streams.put(step.name, sent)
        return came

    def settled(self) -> list[dict[str, Tensor]]:
        """The states after the updates that wait."""
        settled = list(self.states)
        for k, step in enumerate(self.steps[:-1]):
            assert isinstance(step, BackLinkStep)
            back = self.streams.waiting()[step.name][f"block{k + 1}"][0]["grad"]
            settled[k] = dict(step._prepare(self.states[k], {f"block{k + 1}.grad": back}))
        return settled


def by_autograd(network: BlockNetwork, rule: BackLink, steps: list[BlockStep]) -> list[nn.ModuleList]:
    """Blocks and classifiers after STEPS steps; the whole network is one graph, and each gradient is asked for by name."""
    blocks = copy.deepcopy(network.blocks).train()
    heads = [step.new_head().train() for step in steps]
    optimizers = [
        torch.optim.SGD([*b.parameters(), *h.parameters()], lr=1, momentum=0.9, nesterov=True, weight_decay=1e-3)
        for b, h in zip(blocks, heads, strict=True)
    ]
    late: list[list[Tensor]] = [[] for _ in blocks]
    for number, (x, y) in enumerate(batches(STEPS)):
        losses = []
        for block, head in zip(blocks, heads, strict=True):
            x = block(x)
            losses.append(F.cross_entropy(head(x), y))
        gradients = []
        for k, (block, head) in enumerate(zip(blocks, heads, strict=True)):
            own = [*block.parameters(), *head.parameters()]
            gradient = dict(zip(own, torch.autograd.grad(losses[k], own, retain_graph=True), strict=True))
            if k + 1 < len(blocks):
                tail = [p for unit in list(block.children())[-rule.length :] for p in unit.parameters()]
                following = list(torch.autograd.grad(losses[k + 1], tail, retain_graph=True))
                if rule.lag:
                    following, late[k] = late[k] or [torch.zeros_like(p) for p in tail], following
                for p, g in zip(tail, following, strict=True):
                    gradient[p] = rule.alpha * gradient[p] + (1 - rule.alpha) * g
            gradients.append(gradient)
        for optimizer, gradient in zip(optimizers, gradients, strict=True):
            for p, g in gradient.items():
                p.grad = g
            optimizer.param_groups[0]["lr"] = rate(number)
            optimizer.step()
    return [nn.ModuleList(pair) for pair in zip(blocks, heads, strict=True)]


@pytest.mark.parametrize("lag", [0, 1])
@pytest.mark.parametrize(("length", "blocks", "alpha"), [(1, 3, 0.5), (2, 2, 0.25), (9, 2, 0.0), (1, 4, 1.0)])
def test_it_is_one_process_with_gradients_across_the_boundaries(length: int, blocks: int, alpha: float, lag: int) -> None:
    network = make_network("resnet8", num_blocks=blocks, num_classes=10, input_shape=(1, 8, 8), seed=0)
    rule = BackLink(length=length, alpha=alpha, lag=lag)
    chain = Chain(network, rule, SGD(momentum=0.9, nesterov=True, weight_decay=1e-3))
    reference = by_autograd(network, rule, chain.steps)
    for number, (x, y) in enumerate(batches(STEPS)):
        chain.train(x, y, rate(number))
    for state, (block, head) in zip(chain.settled(), reference, strict=True):
        named = {f"net.{n}": v for n, v in block.state_dict().items()} | {f"head.{n}": v for n, v in head.state_dict().items()}
        for name, value in named.items():
            if "num_batches" not in name:
                torch.testing.assert_close(state[name], value, rtol=2e-4, atol=2e-6, msg=lambda text, n=name: f"{n}: {text}")


@pytest.mark.parametrize("optimizer", [SGD(clip_norm=0.5), AdamW()])
def test_copies_equal_originals_bit_for_bit(optimizer: Optimizer) -> None:
    """After 20 steps, with a dropout in the last unit: the same tensors, and the same output from them."""
    torch.manual_seed(0)
    units = [nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU(), SeededDropout(0.4)) for _ in range(4)]
    network = BlockNetwork([nn.Sequential(*units[:2]), nn.Sequential(*units[2:]), nn.Linear(6, 10)], 10, (6,))
    chain = Chain(network, BackLink(length=1), optimizer)
    assert isinstance(chain.steps[1], BackLinkStep)
    tail = chain.steps[1]._previous
    assert tail is not None
    assert {name for name in tail.names if "running" in name} == set()
    for x, y in batches(20, (6,)):
        words = chain.states[0]["net.1.3.words"]
        came = chain.train(x, y, 0.05)[1]
        copied = tail.unpacked(came["block0.tail"])
        assert torch.equal(copied.pop("net.1.3.words"), words)
        assert all(torch.equal(value, chain.states[0][name]) for name, value in copied.items())
        state = {**chain.states[0], "net.1.3.words": words}
        entry = came["block0.entry"]
        with tail.again.on({**copied, "net.1.3.words": words}, train=True) as again, tail.units.on(state, train=True) as own:
            assert torch.equal(again(entry), own(entry))
    assert not torch.equal(copied["net.1.0.weight"], units[1][0].get_parameter("weight"))


def test_without_length_it_is_greedy_learning() -> None:
    network = make_network("resnet8", num_blocks=3, num_classes=10, input_shape=(1, 8, 8), seed=0)
    chains = [Chain(network, rule, SGD()) for rule in (BackLink(length=0), Greedy())]
    for number, (x, y) in enumerate(batches(3)):
        for chain in chains:
            chain.train(x, y, rate(number))
    for ours, theirs in zip(chains[0].states, chains[1].states, strict=True):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_the_first_step_has_nothing_to_apply() -> None:
    """Not even weight decay; afterwards gradients wait with their learning rate."""
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 4, 4), seed=0)
    chain = Chain(network, BackLink(), SGD(weight_decay=0.1))
    before = chain.states[0]
    assert before[PENDING_LR] == -1
    ((x, y),) = batches(1, (1, 4, 4))
    chain.train(x, y, 0.05)
    after = chain.states[0]
    trained = [name for name in before if PENDING + name in before]
    assert all(torch.equal(after[name], before[name]) for name in (*trained, *(f"momentum.{n}" for n in trained)))
    assert all(after[PENDING + name].any() for name in trained)
    assert after[PENDING_LR] == torch.tensor(0.05)
    assert not any(name.startswith(PENDING) for name in chain.states[1])


@pytest.mark.parametrize("lag", [0, 1])
def test_links_run_between_neighbours(lag: int) -> None:
    blocks = ["block0", "block1", "block2"]
    sides = BackLink(lag=lag).edges(blocks)[3:]
    assert sides == tuple(
        edge
        for one, two in (("block0", "block1"), ("block1", "block2"))
        for edge in (EdgeSpec(one, two, ("entry", "tail")), EdgeSpec(two, one, ("grad",), 1 + lag))
    )
    assert BackLink(length=0).edges(blocks) == BackLink(length=2).edges(blocks)[:3] == Greedy().edges(blocks)
    assert BackLink().edges(blocks[:1]) == Greedy().edges(blocks[:1])


def test_a_block_that_is_no_sequence_is_one_unit() -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(6, 6), nn.Linear(6, 10)]
    chains = [
        Chain(BlockNetwork([one, layers[1]], 10, (6,)), BackLink(), SGD()) for one in (layers[0], nn.Sequential(layers[0]))
    ]
    for x, y in batches(3, (6,)):
        for chain in chains:
            chain.train(x, y, 0.05)
    weights = [chain.states[0][name] for chain, name in zip(chains, ("net.weight", "net.0.weight"), strict=True)]
    assert torch.equal(*weights)
    assert not torch.equal(weights[0], layers[0].weight)


@pytest.mark.parametrize("options", [{"length": -1}, {"alpha": 1.5}, {"lag": 2}, {"classifier": "tree"}])
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        BackLink(**options)


@pytest.mark.parametrize(
    ("first", "precision", "reason"),
    [
        (nn.Sequential(nn.Linear(4, 4)), "mixed", "cannot skip steps as the precision mixed does"),
        (
            nn.Sequential(nn.Linear(4, 4), nn.ReLU()),
            "float32",
            "needs something to learn in float32 in the last 1 units of block0; let some of them train, choose another length",
        ),
    ],
)
def test_what_cannot_be_linked_is_refused(first: nn.Module, precision: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        make_steps(BlockNetwork([first, nn.Linear(4, 3)], 3, (4,)), BackLink(), SGD(), 2, precision)


def test_a_frozen_norm_is_computed_again_by_its_running_statistics() -> None:
    """What the next block computes again is what the block gave, so that the gradient is that of the same function."""
    torch.manual_seed(0)
    block = nn.Sequential(nn.Linear(6, 6), nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 6)))
    norm = block.get_submodule("1.0")
    norm.requires_grad_(False).eval()
    norm.get_buffer("running_mean").fill_(2.0)
    tail = Tail(BlockNetwork([block, nn.Linear(6, 10)], 10, (6,)), 0, 1)
    assert tail.names == ["net.1.1.weight", "net.1.1.bias"], "what is frozen is not sent"
    x = torch.randn(4, 6)
    with tail.units.on(tail.units.initial, train=True) as units, tail.again.on(tail.again.initial, train=True) as again:
        assert torch.equal(units(x), again(x))
