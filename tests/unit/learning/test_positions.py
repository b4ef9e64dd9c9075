"""Sequences: to a local loss, every position is a sample."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from support.networks import small_network
from support.rules import DENSE
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.learning import BlockPlace, SideStreams, make_optimizer, make_rule, make_steps
from edgebll.learning.objective import cross_entropy
from edgebll.learning.per_position import PerPosition
from edgebll.learning.rule import objective_of

PLACE = BlockPlace(0, 2, (4, 6), 3, positions=4)
#: Rules that no sequence has what they need for.
IMAGES = ("infopro",)
LOCAL = [name for name, rule in DENSE.items() if not (rule.one_block or rule.whole_sequences) and name not in IMAGES]


def _labels(*shape: int) -> Tensor:
    return torch.eye(3)[torch.randint(3, shape, generator=torch.Generator().manual_seed(1))]


@pytest.mark.parametrize("name", LOCAL)
def test_a_batch_of_sequences_is_a_batch_of_positions(name: str) -> None:
    rule = make_rule(name)
    whole, single = objective_of(rule, PLACE), rule.objective(replace(PLACE, output_shape=(6,), positions=0))
    assert isinstance(whole, PerPosition)
    assert whole.metrics == single.metrics
    a, y = torch.randn(5, 4, 6, generator=torch.Generator().manual_seed(0)), _labels(5, 4)
    rows, labels = a.reshape(20, 6), y.reshape(20, 3)
    torch.manual_seed(0)
    head = whole.head()
    feedback = whole.renew_feedback(whole.feedback_state(), a, y)
    expected = single.renew_feedback(single.feedback_state(), rows, labels)
    assert {key: value.tolist() for key, value in feedback.items()} == {key: value.tolist() for key, value in expected.items()}
    if feedback:
        beta = whole.beta(feedback, y)
        assert beta.shape == (5, 4, 6)
        assert torch.equal(beta[3, 2], single.beta(expected, labels)[14])
    loss, terms = whole.loss(head, feedback, a, y)
    same, same_terms = single.loss(head, expected, rows, labels)
    assert torch.equal(loss, same)
    assert terms.keys() == same_terms.keys()


@pytest.mark.parametrize("name", LOCAL)
def test_a_batch_of_labelled_frames_is_a_batch_of_maps(name: str) -> None:
    rule, shape = make_rule(name), (5, 6, 6)
    whole = objective_of(rule, replace(PLACE, output_shape=(4, *shape), shapes=((9,), (4, *shape), (4, 3))))
    single = rule.objective(replace(PLACE, output_shape=shape, positions=0, shapes=((9,), shape, (3,))))
    a, y = torch.randn(3, 4, *shape, generator=torch.Generator().manual_seed(0)), _labels(3, 4)
    maps, labels = a.reshape(12, *shape), y.reshape(12, 3)
    torch.manual_seed(0)
    head = whole.head()
    feedback = whole.renew_feedback(whole.feedback_state(), a, y)
    assert torch.equal(
        whole.loss(head, feedback, a, y)[0],
        single.loss(head, single.renew_feedback(single.feedback_state(), maps, labels), maps, labels)[0],
    )


def test_the_task_loss_is_the_mean_over_positions() -> None:
    objective = objective_of(make_rule("bll"), replace(PLACE, index=1, output_shape=(4, 3)))
    logits, y = torch.randn(2, 4, 3), _labels(2, 4)
    loss, _ = objective.loss(objective.head(), {}, logits, y)
    each = [-(y[b, t] * logits[b, t].log_softmax(0)).sum() for b in range(2) for t in range(4)]
    assert loss.item() == pytest.approx(torch.stack(each).mean().item(), rel=1e-6)
    assert cross_entropy(logits, y, 0.2).item() == pytest.approx(
        cross_entropy(logits.reshape(8, 3), y.reshape(8, 3), 0.2).item(), rel=1e-6
    )


@pytest.mark.parametrize("name", [name for name in DENSE if name not in IMAGES])
def test_every_rule_trains_the_transformer(name: str) -> None:
    rule = make_rule(name)
    network = small_network("transformer", split="6" if rule.one_block else "2,2,2")
    steps = make_steps(network, rule, make_optimizer("adam"), batch_size=3)
    x, y = torch.randn(3, 10, 10), torch.eye(7)[torch.randint(7, (3, 10))]
    streams = SideStreams([step.spec for step in steps], rule.edges([step.name for step in steps]))
    for step in steps:
        state = step.initial_state()
        assert step.spec.labels.shape == (3, 10, 7)
        new, a, metrics, sent = step(state, x, y, {"lr": torch.tensor(0.01)}, streams.take(step.name))
        streams.put(step.name, sent)
        assert a.shape == step.spec.output.shape
        assert torch.isfinite(metrics).all()
        assert not all(torch.equal(state[key], new[key]) for key in state)
        x = a


@pytest.mark.parametrize("name", IMAGES)
def test_what_needs_images_refuses_the_transformer(name: str) -> None:
    with pytest.raises(ConfigError, match="one image a sample, but here each of 10 positions"):
        make_steps(small_network("transformer", split="2,2,2"), make_rule(name), make_optimizer("adam"), batch_size=3)


def test_outputs_without_positions_are_refused() -> None:
    for shape in ((6,), (4,), (5, 6)):
        with pytest.raises(ConfigError, match="each of 4 positions"):
            objective_of(make_rule("bll"), replace(PLACE, output_shape=shape))
