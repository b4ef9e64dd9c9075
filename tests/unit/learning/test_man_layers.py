"""What MAN takes for the first layer of a block, what it makes of it, and what it refuses by one sentence."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.edge_check import EdgeSpec
from edgebll.kernel.tasks import make_task
from edgebll.learning import DGL, MAN, SGD, BlockStep, Greedy, make_steps
from edgebll.learning.networks import BlockNetwork, make_network


def steps_of(*blocks: nn.Module, precision: str = "float32") -> list[BlockStep]:
    return make_steps(BlockNetwork(blocks, None, (4,)), MAN(hidden_layers=0), SGD(), 2, precision)


def names(state: dict[str, Tensor], prefix: str) -> set[str]:
    return {name.removeprefix(prefix) for name in state if name.startswith(prefix)}


def one_step(step: BlockStep, state: dict[str, Tensor], message: Tensor) -> dict[str, Tensor]:
    """A step of the first block, without learning."""
    x, y = torch.randn(2, 4), torch.eye(3)[:2]
    return step(state, x, y, {"lr": torch.tensor(0.0)}, {"block1.lent": message}).state


def test_messages_run_to_the_block_before() -> None:
    blocks = ["block0", "block1", "block2"]
    back = [EdgeSpec("block1", "block0", ("lent",), 2), EdgeSpec("block2", "block1", ("lent",), 2)]
    assert MAN().edges(blocks) == (*Greedy().edges(blocks), *back)
    assert [edge.lag for edge in MAN(lag=5).edges(blocks)] == [0, 0, 0, 5, 5]
    assert MAN().edges(blocks[:1]) == Greedy().edges(blocks[:1])


def test_what_a_message_weighs_is_told() -> None:
    """A residual block of ResNet-8 with 4 and 8 channels: 4 x 8 x 9 + 8 x 8 x 9 + 4 x 8 weights and 6 x 8 of batch norms."""
    network = make_network("resnet8", num_blocks=3, num_classes=10, input_shape=(1, 8, 8), seed=0, options={"width": 4})
    parameters = 4 * 8 * 9 + 8 * 8 * 9 + 4 * 8 + 6 * 8
    for period, numbers in ((1, parameters), (16, 59), (parameters, 1)):
        first, second, _ = make_steps(network, MAN(period=period), SGD(), 4)
        assert [(spec.name, spec.size_bytes) for spec in first.spec.received] == [("block1.lent", 4 * (1 + numbers))]
        assert [(spec.name, spec.size_bytes) for spec in second.spec.sent] == [("lent", 4 * (1 + numbers))]


def test_the_classifier_is_that_of_dgl_behind_the_next_layer() -> None:
    network = make_network("resnet8", num_blocks=3, num_classes=10, input_shape=(1, 8, 8), seed=0, options={"width": 4})
    head = make_steps(network, MAN(), SGD(), 4)[0].new_head()
    shapes = [value.shape for value in head.get_submodule("classifier").parameters()]
    assert shapes == [value.shape for value in DGL().auxiliary(network.shapes[2], 10).parameters()]
    for part in ("learned", "average"):
        copied = head.get_submodule(part).state_dict()
        assert all(torch.equal(value, network.blocks[1].state_dict()[name]) for name, value in copied.items())


def test_evaluation_asks_the_network_of_a_single_sample_too() -> None:
    """Batch norms of both copies of the layer have gathered statistics of their own: a score depends on its sample alone."""
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 4, 4), seed=0)
    step, _ = make_steps(network, MAN(), SGD(), 4)
    head, a = step.new_head().eval(), torch.randn(4, *network.shapes[1])
    together = step.objective.scores(head, {}, a)
    assert together is not None
    alone = [step.objective.scores(head, {}, sample.unsqueeze(0)) for sample in a]
    torch.testing.assert_close(together, torch.cat([scores for scores in alone if scores is not None]))


def test_a_block_of_one_layer_is_its_own_first_layer() -> None:
    first, last = nn.Linear(4, 4), nn.Linear(4, 3)
    bare, wrapped = steps_of(first, last), steps_of(first, nn.Sequential(last))
    assert names(bare[0].initial_state(), "head.average.") == {"weight", "bias"}
    assert names(wrapped[0].initial_state(), "head.average.") == {"0.weight", "0.bias"}
    assert torch.equal(bare[0].initial_state()["head.average.weight"], last.weight)


def test_layers_keep_the_names_that_they_have_in_their_block() -> None:
    """So that parameters find each other; layers before the first that learns come along."""
    second = nn.Sequential()
    second.add_module("act", nn.ReLU())
    second.add_module("dense", nn.Linear(4, 5))
    second.add_module("out", nn.Linear(5, 3))
    steps = steps_of(nn.Linear(4, 4), second)
    assert names(steps[0].initial_state(), "head.average.") == {"dense.weight", "dense.bias"}
    assert [spec.shape for spec in steps[1].spec.sent] == [(1 + -(-25 // 16),)]


def test_frozen_parts_of_the_layer_are_constants_and_do_not_travel() -> None:
    unit = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))
    unit[0].requires_grad_(False)
    unit[1].requires_grad_(False).eval()
    steps = steps_of(nn.Linear(4, 4), nn.Sequential(unit, nn.Linear(4, 3)))
    assert names(steps[0].initial_state(), "head.average.") == {"0.2.weight", "0.2.bias"}
    assert {"head.average.0.0.weight", "head.average.0.1.running_mean"} <= set(steps[0].constants)
    assert unit[0].weight.requires_grad is False, "the network is as it was"
    assert unit[1].running_mean is not None


def test_tied_weights_stay_tied() -> None:
    unit = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    unit[2].weight = unit[0].weight
    first, second = steps_of(nn.Linear(4, 4), nn.Sequential(unit, nn.Linear(4, 3)))
    (spec,) = second.spec.sent
    assert spec.shape == (1 + -(-24 // 16),), "16 weights, once, and two biases of 4"
    message = torch.tensor([1.0, 7.0, 7.0])
    before = first.initial_state()
    after = one_step(first, before, message)
    kept = 0.995**16
    expected = before["head.average.0.0.weight"].flatten()
    expected[:2] = kept * expected[:2] + (1 - kept) * 7.0
    torch.testing.assert_close(after["head.average.0.0.weight"].flatten(), expected)
    a, average = torch.randn(2, 4), first.new_head().get_submodule("average")
    weight = dict(average.named_buffers())["0.0.weight"]
    weight.zero_()
    assert torch.equal(average(a), unit[2].bias.expand(2, 4)), "both layers read the one tensor"


def test_what_is_not_finite_elsewhere_stays_there() -> None:
    """A message of one row leaves the others as they are, even where they have become infinite or no number."""
    first, second = steps_of(nn.Linear(4, 4), nn.Linear(4, 3))
    state = first.initial_state()
    state["head.average.weight"][2, 3] = torch.nan
    after = one_step(first, state, torch.tensor([1.0, 3.0]))
    assert after["head.average.weight"][0, 0].isfinite()
    assert after["head.average.weight"].isnan().sum() == 1
    owner = second.initial_state()
    owner["net.weight"][2, 3] = torch.inf
    x, y, lr = torch.randn(2, 4), torch.eye(3)[:2], {"lr": torch.tensor(0.0)}
    assert second(owner, x, y, lr).sent["lent"].tolist() == [1.0, owner["net.weight"][0, 0].item()]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"momentum": 1.0}, "momentum must be at least 0 and less than 1, not 1.0"),
        ({"momentum": -0.1}, "momentum must be at least 0"),
        ({"momentum": float("nan")}, "momentum must be at least 0"),
        ({"period": 0}, "period must be 1 to 1048576 steps, not 0"),
        ({"period": 1 << 21}, "period must be 1 to 1048576 steps, not 2097152"),
        ({"period": 1.5}, "period must be a whole number"),
        ({"lag": 0}, "lag must be 1 to 64 steps, not 0"),
        ({"lag": 65}, "lag must be 1 to 64 steps, not 65"),
        ({"cells": 0}, "cells at least 1"),
        ({"match": -1.0}, "match must not be negative, but is -1.0"),
        ({"match": float("nan")}, "match must not be negative, but is nan"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        MAN(**options)


class Own(nn.Module):
    """A block that is no sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.dense(x)
        return found


@pytest.mark.parametrize(
    ("first", "last", "reason"),
    [
        (
            nn.Linear(4, 4),
            Own(),
            r"man lends the first layer of block1 to the block before, and finds it in .*, not in a Own; cut .*, or use dgl",
        ),
        (
            nn.Linear(4, 4),
            nn.Linear(4, 3).requires_grad_(False),
            "nothing in block1 trains, but under man blocks borrow .* dgl",
        ),
        (
            nn.Linear(4, 4).requires_grad_(False),
            nn.Linear(4, 3),
            "nothing in block0 trains, but under man blocks borrow .* dgl",
        ),
    ],
)
def test_what_has_no_first_layer_is_refused(first: nn.Module, last: nn.Module, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        steps_of(first, last)


def test_a_layer_without_positions_is_refused() -> None:
    last = nn.Sequential(nn.Sequential(nn.Flatten(), nn.Linear(12, 6)), nn.Unflatten(1, (3, 2)))
    network = BlockNetwork([nn.Linear(4, 4), last], 2, (3, 4))
    with pytest.raises(ConfigError, match=r"man needs features for each of 3 positions, .* block1 gives the shape \(6,\); cut"):
        make_steps(network, MAN(), SGD(), 2)


def test_the_match_serves_numbers_too() -> None:
    """BLL's least-squares solution on (1, y); what the block sends and gets is the same."""
    network = BlockNetwork([nn.Linear(4, 6), nn.Linear(6, 2)], 2, (4,), task=make_task("regression"))
    plain, matched = (make_steps(network, MAN(hidden_layers=0, match=match), SGD(), 8)[0] for match in (0.0, 1.0))
    assert matched.spec.metrics == ("loss", "loss_match", "loss_pred")
    assert (matched.spec.received, matched.spec.sent) == (plain.spec.received, plain.spec.sent)
    state, received = matched.initial_state(), {"block1.lent": torch.zeros(matched.spec.received[0].shape)}
    x, y = torch.randn(8, 4), torch.randn(8, 2)
    new, _, metrics, _ = matched(state, x, y, {"lr": torch.tensor(0.1)}, received)
    assert torch.equal(metrics[0], metrics[1] + metrics[2])
    assert metrics[1] > 0
    assert any(not torch.equal(new[name], state[name]) for name in matched.spec.feedback_state)


@pytest.mark.parametrize("match", [0.0, 1.0])
def test_what_fills_a_batch_up_changes_nothing(match: float) -> None:
    network, rule = BlockNetwork([nn.Linear(4, 6), nn.Linear(6, 3)], 3, (4,)), MAN(hidden_layers=0, match=match)
    filled, alone = make_steps(network, rule, SGD(), 6, last_batch="mask")[0], make_steps(network, rule, SGD(), 4)[0]
    x, y, lr = torch.randn(6, 4), torch.eye(3)[[0, 1, 2, 1, 0, 0]], torch.tensor(0.1)
    received = {"block1.lent": torch.zeros(filled.spec.received[0].shape)}
    ours = filled(filled.initial_state(), x, y, {"lr": lr, "count": torch.tensor(4.0)}, received)
    theirs = alone(alone.initial_state(), x[:4], y[:4], {"lr": lr}, received)
    torch.testing.assert_close(ours.metrics, theirs.metrics)
    torch.testing.assert_close(ours.state, theirs.state)


def test_mixed_precision_lends_what_it_holds() -> None:
    """Messages are the float32 weights, and go on where a step is skipped."""
    first, second = steps_of(nn.Linear(4, 4), nn.Linear(4, 3), precision="mixed")
    state = second.initial_state()
    sent = second(state, torch.randn(2, 4), torch.eye(3)[:2], {"lr": torch.tensor(0.1)}).sent["lent"]
    assert sent.tolist() == [1.0, state["net.weight"][0, 0].item()]
    after = one_step(first, first.initial_state(), sent + torch.tensor([0.0, 1.0]))
    assert after["head.average.weight"][0, 0] > state["net.weight"][0, 0]
