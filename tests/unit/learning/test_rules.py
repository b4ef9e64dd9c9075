"""What holds for every rule: as one block it is the task loss, it declares its streams, and it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support import naive
from support.rules import DENSE

from edgebll.data import batch_order, load_dataset
from edgebll.kernel.spec.edge_check import is_chain
from edgebll.learning import SGD, BlockStep, SideStreams, make_rule, make_steps
from edgebll.learning.networks import make_network

#: Rules with side streams.
MORE = ("man", "infopro", "backlink")
LOCAL = [name for name, rule in DENSE.items() if not rule.one_block]


def steps_of(rule: str, network: str = "mlp", blocks: int = 3, shape: tuple[int, ...] = (1, 8, 8)) -> list[BlockStep]:
    made = make_rule(rule)
    count = 1 if made.one_block else blocks
    return make_steps(make_network(network, num_blocks=count, num_classes=10, input_shape=shape, seed=0), made, SGD(), 32)


@pytest.mark.parametrize("rule", LOCAL)
@pytest.mark.parametrize("labels", [[1, 1, 1, 5], list(range(10))])
def test_one_block_is_backpropagation(rule: str, labels: list[int]) -> None:
    """K = 1: the same update, bit for bit, and the loss is the cross-entropy of the class scores."""
    x, y = torch.randn(len(labels), 1, 8, 8), torch.eye(10)[labels]
    network = make_network("mlp", num_blocks=1, num_classes=10, input_shape=(1, 8, 8), seed=0)
    states = []
    for name in (rule, "backprop"):
        (step,) = make_steps(network, make_rule(name, label_smoothing=0.1), SGD(), len(labels))
        state, a, metrics, _ = step(step.initial_state(), x, y, {"lr": torch.tensor(0.1)})
        states.append(state)
        assert step.spec.metrics == ("loss",)
        assert float(metrics[0]) == pytest.approx(float(naive.cross_entropy(a.double(), labels, 0.1)), rel=1e-5)
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@pytest.mark.parametrize("rule", LOCAL)
def test_the_last_block_has_the_task_loss_alone(rule: str) -> None:
    last = steps_of(rule)[-1]
    assert last.spec.metrics == ("loss",)
    lends = {"lent"} if rule == "man" else set()
    assert {name.split(".")[0] for name in last.initial_state()} == {"net", "momentum"} | lends


@pytest.mark.parametrize("rule", DENSE)
def test_the_chain_runs_forward(rule: str) -> None:
    """All rules need activations and labels; most need no more."""
    names = [step.name for step in steps_of(rule)]
    edges = make_rule(rule).edges(names)
    if rule in MORE:
        assert len(edges) > len(names)
        edges = tuple(edge for edge in edges if is_chain(edge))
    ends = list(zip(["host", *names[:-1]], names, strict=True))
    assert [(edge.source, edge.target, edge.lag) for edge in edges] == [(source, target, 0) for source, target in ends]
    assert [edge.tensors for edge in edges] == [("x", "y")] + [("a", "y")] * (len(names) - 1)


@pytest.mark.parametrize("network", ["mlp", "resnet8"])
@pytest.mark.parametrize("rule", DENSE)
def test_it_learns_digits(rule: str, network: str) -> None:
    """Two passes, three blocks: above 90 %."""
    data, test = (load_dataset("digits", split) for split in ("train", "test"))
    steps = steps_of(rule, network)
    states = [step.initial_state() for step in steps]
    streams = SideStreams([step.spec for step in steps], make_rule(rule).edges([step.name for step in steps]))
    for epoch in range(2):
        for indices in batch_order(len(data), 32, 0, epoch):
            x, y = torch.from_numpy(data.inputs(indices)), torch.from_numpy(data.targets(indices))
            for k, step in enumerate(steps):
                rate = {"lr": torch.tensor(0.05 / (1 + epoch))}
                states[k], x, _, sent = step(states[k], x, y, rate, streams.take(step.name))
                streams.put(step.name, sent)
    x = torch.from_numpy(test.inputs(np.arange(len(test))))
    for step, state in zip(steps, states, strict=True):
        x = step.forward(state, x)
    accuracy = float((x.argmax(1) == torch.from_numpy(test.labels)).double().mean())
    assert accuracy > 0.9
