"""BLL's chained feedback: each layer against its formulas written with loops, and the way of the target tables."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from support import naive
from support.networks import small_network
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.edge_check import EdgeSpec
from edgebll.learning import BLL, SGD, BlockPlace, SideStreams, make_steps
from edgebll.learning.networks import make_network
from edgebll.learning.rules.bll.chained_objective import BIAS, TARGETS, WEIGHT
from edgebll.learning.rules.bll.objective import BLLObjective

CLASSES = 4
#: One sample of class 0, none of class 2; all of one class; each class once.
BATCHES = {"absent and single classes": [0, 1, 1, 3, 3], "one class": [1, 1, 1], "one each": [0, 1, 2, 3]}
SHAPES = ((1, 4, 4), (3, 2, 2), (5, 2, 2), (6,), (CLASSES,))
PLACE = BlockPlace(0, 4, SHAPES[1], CLASSES, shapes=SHAPES)


def naive_inputs(table: Tensor, activation: str) -> Tensor:
    """u(T)."""
    classes, features = table.shape
    means = [sum(float(table[c, f]) for c in range(classes)) / classes for f in range(features)]
    centred = [[float(table[c, f]) - means[f] for f in range(features)] for c in range(classes)]
    size = math.sqrt(sum(v * v for row in centred for v in row) / (classes * features) + 1e-8)
    squeeze = math.tanh if activation == "tanh" else float
    return torch.tensor([[squeeze(v / size) / math.sqrt(features) for v in row] for row in centred], dtype=torch.float64)


def naive_layer(
    feedback: naive.Weights, table: Tensor, pooled: Tensor, labels: list[int], activation: str, lr: float
) -> naive.Weights:
    """One gradient step, by autograd of the match written out class by class."""
    inputs = naive_inputs(table, activation)
    weight, bias = (feedback[name].clone().requires_grad_() for name in (WEIGHT, BIAS))
    terms = []
    for c in sorted(set(labels)):
        members = [pooled[n] for n, label in enumerate(labels) if label == c]
        mean = sum(members) / len(members)
        target = torch.stack([(weight[f] * inputs[c]).sum() + bias[f] for f in range(len(bias))])
        terms.append(0.5 * ((target - mean) ** 2).sum())
    by = torch.autograd.grad(naive.total(terms) / len(terms), [weight, bias])
    new = {WEIGHT: (weight - lr * by[0]).detach(), BIAS: (bias - lr * by[1]).detach(), TARGETS: feedback[TARGETS].clone()}
    for c in set(labels):
        for f in range(len(bias)):
            new[TARGETS][c, f] = (new[WEIGHT][f] * inputs[c]).sum() + new[BIAS][f]
    return new


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("activation", ["tanh", "none"])
@pytest.mark.parametrize("index", [0, 2])
def test_layer_and_loss(index: int, activation: str, batch: str) -> None:
    """Block 0 has its layer on block 1's table, block 2 (the last but one) on the labels."""
    labels, rule = BATCHES[batch], BLL(feedback="chain", feedback_activation=activation, feedback_lr=0.3, head_size=1)
    objective = rule.objective(BlockPlace(index, 4, SHAPES[index + 1], CLASSES, shapes=SHAPES))
    table = naive.normal(CLASSES, 5) if index == 0 else torch.eye(CLASSES, dtype=torch.float64)
    a, y = naive.normal(len(labels), *SHAPES[index + 1], seed=2), naive.one_hot(labels, CLASSES)
    old = {name: naive.normal(*value.shape, seed=5) for name, value in objective.feedback_state().items()}
    assert {name: value.shape[1:] for name, value in old.items()}[WEIGHT] == table.shape[1:]
    bound = objective.given({"block1.table": table} if index == 0 else {}, a)
    pooled = a.mean((2, 3)) if a.dim() > 2 else a
    expected = naive_layer(old, table, pooled, labels, activation, 0.3)
    new = bound.renew_feedback(old, a, y)
    for name, value in expected.items():
        torch.testing.assert_close(new[name], value, rtol=1e-9, atol=1e-12)
    assert torch.equal(objective.beta(new, y), new[TARGETS][labels])
    sent = bound.outgoing(new, a)
    assert (sent == {}) if index == 0 else torch.equal(sent["table"], new[TARGETS])

    def loss(a: Tensor, head: naive.Weights) -> Tensor:
        rows = [sample.reshape(len(sample), -1).sum(1) / (sample.numel() / len(sample)) for sample in a]
        match = naive.total([((row - expected[TARGETS][c]) ** 2).sum() for row, c in zip(rows, labels, strict=True)])
        logits = naive.linear(torch.stack(rows), head["weight"], head["bias"])
        return match / (8 * len(labels)) + naive.cross_entropy(logits, labels)

    naive.check(bound, loss, a, y, feedback=new)


def test_the_fit_converges_to_the_class_means() -> None:
    rule = BLL(feedback="chain")
    objective = rule.objective(PLACE).given({"block1.table": naive.normal(CLASSES, 5)}, torch.zeros(()))
    a, y = naive.normal(8, *SHAPES[1]), naive.one_hot([0, 0, 1, 1, 2, 2, 3, 3], CLASSES)
    feedback = {name: value.double() for name, value in objective.feedback_state().items()}
    for _ in range(3000):
        feedback = objective.renew_feedback(feedback, a, y)
    means = a.mean((2, 3)).reshape(CLASSES, 2, 3).mean(1)
    torch.testing.assert_close(feedback[TARGETS], means, rtol=0, atol=1e-6)


def test_tables_go_back_from_block_to_block() -> None:
    blocks = [f"block{k}" for k in range(4)]
    chain = BLL().edges(blocks)
    expected = (EdgeSpec("block1", "block0", ("table",), 2), EdgeSpec("block2", "block1", ("table",), 2))
    assert BLL(feedback="chain").edges(blocks) == (*chain, *expected)
    for count in (1, 2):
        assert BLL(feedback="chain").edges(blocks[:count]) == BLL().edges(blocks[:count])


def test_a_step_uses_the_table_of_two_steps_before() -> None:
    """Against one process that keeps the tables itself."""
    rule = BLL(feedback="chain", predict=0.0)
    network = make_network("mlp", num_blocks=3, num_classes=10, input_shape=(1, 4, 4), seed=0)
    steps = make_steps(network, rule, SGD(), 20)
    states = {step.name: step.initial_state() for step in steps}
    streams = SideStreams([step.spec for step in steps], rule.edges([step.name for step in steps]))
    generator = torch.Generator().manual_seed(0)
    tables = [torch.zeros(steps[1].spec.sent[0].shape)] * 2
    for _ in range(4):
        x, y = torch.randn(20, 1, 4, 4, generator=generator), torch.eye(10)[torch.arange(20) % 10]
        for step in steps:
            received = streams.take(step.name)
            if step.name == "block0":
                assert torch.equal(received["block1.table"], tables[-2])
            states[step.name], x, _, sent = step(states[step.name], x, y, {"lr": torch.tensor(0.05)}, received)
            streams.put(step.name, sent)
        tables.append(states["block1"][TARGETS])
        waiting = [token["table"] for token in streams.waiting()["block0"]["block1"]]
        assert all(torch.equal(*pair) for pair in zip(waiting, tables[-2:], strict=True))
    assert tables[-1].any()


def test_every_position_has_its_target() -> None:
    rule = BLL(feedback="chain")
    network = small_network("transformer", split="2,2,2")
    steps = make_steps(network, rule, SGD(), 3)
    assert steps[0].spec.received[0].shape == steps[1].spec.sent[0].shape
    assert steps[0].spec.beta is not None
    assert steps[0].spec.beta.shape[:2] == (3, 10)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"match": 0.0}, "match above 0"),
        ({"feedback_lr": 1.0}, "between 0 and 1"),
        ({"feedback_activation": "relu"}, "tanh, none"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        BLL(feedback="chain", **options)


def test_other_feedback_stays_single_layer() -> None:
    assert type(BLL().objective(PLACE)) is BLLObjective
