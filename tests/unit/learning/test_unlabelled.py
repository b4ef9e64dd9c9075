"""Samples without a label train nothing, under any rule: the batch trains as that of the labelled ones alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgebll.kernel.tasks import Classification, Regression, Task
from edgebll.learning import BLL, SGD, BlockPlace, Rule, make_rule, make_steps
from edgebll.learning.masked_batches import Masked
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.objective import Objective
from edgebll.learning.rule import objective_of
from edgebll.learning.rules.bll.objective import FEEDBACK

BLANK = 9
LABELS = torch.tensor([0, 1, BLANK, 2, BLANK, 1, 0])
KNOWN = LABELS != BLANK
TASK = Classification(ignore_index=BLANK)
#: Rules, and what of them needs no label left out: InfoPro's reconstruction learns from every sample.
RULES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in ("predsim", "sim", "pred", "greedy", "dgl", "auglocal", "backlink", "backprop", "fa")},
    **{f"bll, {how}": ("bll", {"feedback": how}) for how in ("ema", "lstsq", "sgd", "chain")},
    "bll, decorrelated": ("bll", {"decorrelate": 0.5, "label_smoothing": 0.1}),
    "bll, different": ("bll", {"decorrelate": 0.5, "decorrelate_pairs": "different"}),
    "infopro": ("infopro", {"reconstruct_first": 0.0, "reconstruct_last": 0.0}),
    "infopro, contrast": ("infopro", {"reconstruct_first": 0.0, "reconstruct_last": 0.0, "loss": "contrast"}),
}
#: Those whose auxiliary networks take no statistics over a batch.
WITHOUT_STATISTICS = [name for name in RULES if name not in ("dgl", "auglocal", "infopro", "infopro, contrast")]
#: MAN's objective is one of two blocks, which a place does not know; without hidden layers its classifier has no batch norm.
MAN: dict[str, tuple[str, dict[str, Any]]] = {
    f"man, match={match}": ("man", {"convolutions": 0, "hidden_layers": 0, "match": match}) for match in (0.0, 1.0)
}
STEPS = {**{name: RULES[name] for name in WITHOUT_STATISTICS}, **MAN}


def one_hot(labels: Tensor) -> Tensor:
    return torch.from_numpy(TASK.targets(labels.numpy(), 3))


def taught(objective: Objective, head: nn.Module, a: Tensor, y: Tensor) -> tuple[Tensor, list[Tensor], dict[str, Tensor]]:
    """Loss, its gradients for a and for the head, and the feedback head."""
    given = a.double().requires_grad_()
    feedback = {name: value.double() for name, value in objective.feedback_state().items()}
    feedback = objective.renew_feedback(feedback, given.detach(), y.double())
    loss, _ = objective.loss(head, feedback, given, y.double())
    return loss, list(torch.autograd.grad(loss, [given, *head.parameters()], allow_unused=True)), feedback


def check_known_alone(objective: Objective, a: Tensor, y: Tensor, known: Tensor, alone: Objective | None = None) -> None:
    """Loss, gradients and feedback are those of the known samples alone, under `alone` or the same objective.

    Batch norms use what they have gathered.
    """
    alone = alone or objective
    torch.manual_seed(0)
    head = alone.head().double().eval()
    for parameter in head.parameters():
        nn.init.normal_(parameter, std=0.3)
    loss, (slope, *slopes), feedback = taught(objective, head, a, y)
    expected, (expected_slope, *expected_slopes), expected_feedback = taught(alone, head, a[known], y[known])
    assert loss.item() > 0
    torch.testing.assert_close(loss, expected)
    assert torch.count_nonzero(slope[~known]) == 0
    torch.testing.assert_close(slope[known], expected_slope)
    torch.testing.assert_close(slopes, expected_slopes)
    torch.testing.assert_close(feedback, expected_feedback)


@pytest.mark.parametrize("variant", RULES)
def test_no_gradient_comes_from_samples_without_a_label(variant: str) -> None:
    name, options = RULES[variant]
    rule = make_rule(name, **options)
    network = make_network(
        "resnet8", num_blocks=1 if rule.one_block else 2, num_classes=3, input_shape=(1, 8, 8), seed=0, task=TASK
    )
    place = BlockPlace.of(network, 0)
    generator = torch.Generator().manual_seed(2)
    a = torch.randn(len(LABELS), *place.output_shape, generator=generator)
    objective = objective_of(rule, place).given({}, torch.randn(len(LABELS), 1, 8, 8, generator=generator))
    check_known_alone(objective, a, one_hot(LABELS), KNOWN)
    loss, slopes, feedback = taught(objective, objective.head().double().eval(), a, one_hot(torch.full_like(LABELS, BLANK)))
    nothing = [loss, *(slope for slope in slopes if slope is not None), *feedback.values()]
    assert not any(torch.count_nonzero(value.nan_to_num(1.0)) for value in nothing), "where no label is, nothing moves"


@pytest.mark.parametrize("variant", ["bll, ema", "predsim", "greedy"])
def test_nor_from_positions_without_one(variant: str) -> None:
    """Positions are samples: those that are known, and no others, say what the loss is."""
    name, options = RULES[variant]
    place = BlockPlace(0, 2, (3, 5), 3, positions=3, shapes=((3, 5), (3, 5), (3, 3)), task=TASK, outputs=(3, 3))
    a = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(2))
    labels = torch.tensor([[0, BLANK, 1], [2, 1, BLANK]])
    positions, known = objective_of(make_rule(name, **options), place), labels.flatten() != BLANK
    alone = objective_of(make_rule(name, **options), replace(place, positions=0, output_shape=(5,), outputs=(3,)))
    torch.manual_seed(0)
    head = alone.head().double()
    loss, (slope, *_), _ = taught(positions, head, a, one_hot(labels))
    expected, *_ = taught(alone, head, a.flatten(0, 1)[known], one_hot(labels.flatten())[known])
    torch.testing.assert_close(loss, expected)
    assert torch.count_nonzero(slope.flatten(0, 1)[~known]) == 0


def trained(rule: Rule, x: Tensor) -> list[Tensor]:
    """State and metrics after two steps of a network without batch norm."""
    torch.manual_seed(1)
    layers = [nn.Sequential(nn.Conv2d(1, 6, 3, 2, 1), nn.ReLU()), nn.Sequential(nn.Flatten(), nn.Linear(24, 3))]
    blocks = [nn.Sequential(*layers)] if rule.one_block else layers
    step = make_steps(BlockNetwork(blocks, 3, (1, 4, 4), task=TASK), rule, SGD(lr=0.1), len(LABELS))[0]
    state, found = step.initial_state(), []
    received = {spec.name: torch.zeros(spec.shape) for spec in step.spec.received}
    for _ in range(2):
        stepped = step(state, x, one_hot(LABELS), {"lr": torch.tensor(0.1)}, received)
        state = stepped.state
        found.append(stepped.metrics)
    return [*found, *state.values()]


@pytest.mark.parametrize("variant", STEPS)
def test_a_step_does_not_see_what_has_no_label(variant: str) -> None:
    name, options = STEPS[variant]
    x = torch.randn(len(LABELS), 1, 4, 4)
    other = torch.where(KNOWN[:, None, None, None], x, torch.randn_like(x))
    rule = make_rule(name, **({"length": 2} if name == "backlink" else {}), **options)
    torch.testing.assert_close(trained(rule, x), trained(rule, other), rtol=1e-5, atol=1e-7)


def test_what_fills_a_batch_up_does_not_count_either() -> None:
    """Nor where samples without a label are among those that count."""
    place = BlockPlace(0, 2, (5,), 3, shapes=((5,), (5,), (3,)), task=TASK, outputs=(3,))
    a = torch.randn(len(LABELS), 5, generator=torch.Generator().manual_seed(2))
    masked = Masked(objective_of(BLL(), place)).given({"count": torch.tensor(5.0)}, a)
    counted = KNOWN & (torch.arange(len(LABELS)) < 5)
    check_known_alone(masked, a, one_hot(LABELS), counted, objective_of(BLL(), place))


@dataclass(frozen=True)
class Measured(Regression):
    """Numbers below 0 were not measured."""

    def weights(self, y: Any) -> Any:
        return (y[:, 0] >= 0).to(y.dtype)

    def losses(self, output: Any, y: Any) -> Any:
        return super().losses(output, y) * self.weights(y)


@pytest.mark.parametrize("feedback", ["ema", "lstsq", "sgd"])
def test_samples_of_no_weight_of_an_own_task_train_nothing(feedback: str) -> None:
    task: Task = Measured()
    place = BlockPlace(0, 2, (5,), 2, shapes=((5,), (5,), (2,)), task=task, outputs=(2,))
    objective = objective_of(BLL(feedback=feedback), place)
    generator = torch.Generator().manual_seed(2)
    a, y = torch.randn(7, 5, generator=generator), torch.rand(7, 2, generator=generator)
    y[~KNOWN] = -1.0
    check_known_alone(objective, a, y, KNOWN)
    old = {FEEDBACK: torch.randn(5, 3, generator=generator)}
    assert torch.equal(objective.renew_feedback(old, a, torch.full_like(y, -1.0))[FEEDBACK], old[FEEDBACK])
