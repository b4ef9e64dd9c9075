"""A batch that is filled up trains as the batch of its samples alone, where no statistics are taken over a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.fine_tuning import FineTuning
from edgebll.kernel.tasks import TASKS
from edgebll.learning import SGD, AdamW, BlockStep, Optimizer, fine_tuned, make_rule, make_steps
from edgebll.learning.masked_batches import counted
from edgebll.learning.networks import BlockNetwork

LR = torch.tensor(0.1)
RULES: dict[str, tuple[str, dict[str, Any]]] = {
    "bll, ema": ("bll", {"label_smoothing": 0.1}),
    "bll, lstsq": ("bll", {"feedback": "lstsq", "ridge": 0.5, "pool": "none"}),
    "bll, sgd": ("bll", {"feedback": "sgd"}),
    "greedy": ("greedy", {}),
    "pred": ("pred", {}),
}


def network(task: str) -> BlockNetwork:
    """Without batch norm."""
    torch.manual_seed(1)
    first = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU())
    ends: dict[str, list[nn.Module]] = {
        "segmentation": [nn.Upsample(scale_factor=2), nn.Conv2d(4, 3, 1)],
        "reconstruction": [nn.Flatten(), nn.Linear(4 * 4, 16), nn.Unflatten(1, (1, 4, 4))],
    }
    last = nn.Sequential(*ends.get(task, [nn.Flatten(), nn.Linear(4 * 4, 3)]))
    return BlockNetwork([first, last], None, (1, 4, 4), task=TASKS[task]())


def trained(steps: list[BlockStep], batches: list[tuple[Any, Any, int]]) -> list[torch.Tensor]:
    """All states and losses after some steps."""
    states = [step.initial_state() for step in steps]
    losses = []
    for x, y, count in batches:
        for index, step in enumerate(steps):
            scalars = {"lr": LR, "count": torch.tensor(float(count))}
            stepped = step(states[index], x, y, {name: scalars[name] for name in step.spec.scalars})
            states[index], x = stepped.state, stepped.a
            losses.append(stepped.metrics)
    return [*losses, *(value for state in states for value in state.values())]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("variant", RULES)
def test_what_fills_a_batch_up_changes_nothing(variant: str, task: str) -> None:
    name, options = RULES[variant]
    if task not in ("classification", "segmentation"):
        options = {key: value for key, value in options.items() if key != "label_smoothing"}
    made, generator = network(task), np.random.default_rng(2)
    rule = make_rule(name, **options)
    masked, plain = make_steps(made, rule, SGD(lr=0.1), 6, last_batch="mask"), make_steps(made, rule, SGD(lr=0.1), 4)
    assert masked[0].spec.scalars == ("lr", "count")
    filled, alone = [], []
    for _ in range(3):
        x = torch.randn(6, 1, 4, 4)
        y = x if made.task.of_input else torch.from_numpy(made.task.examples(6, made.shapes[-1], generator))
        filled.append((x, y, 4))
        alone.append((x[:4], y[:4], 4))
    for ours, theirs in zip(trained(masked, filled), trained(plain, alone), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


#: Forms of BLL whose terms look at the whole batch.
FORMS: dict[str, dict[str, Any]] = {
    "standardised": {"match_on": "standardised", "variance": "learned", "feedback": "lstsq"},
    "centred codes": {"match_on": "centred", "target": "simplex", "head": "bayes", "variance": "learned"},
    "global mean": {"target": "global_mean", "match_schedule": "decaying", "match_steps": 5},
    "spread": {"entropy": 0.1, "spread": 0.5, "decorrelate_channels": 0.3, "soften": 0.5},
    "rebuilt": {"reconstruct": 0.5},
}


@pytest.mark.parametrize("form", FORMS)
def test_nor_in_terms_of_the_whole_batch(form: str) -> None:
    made, rule, filled, alone = network("classification"), make_rule("bll", **FORMS[form]), [], []
    for _ in range(3):
        x, y = torch.randn(6, 1, 4, 4), torch.eye(3)[torch.randint(0, 3, (6,))]
        filled.append((x, y, 4))
        alone.append((x[:4], y[:4], 4))
    masked, plain = make_steps(made, rule, SGD(lr=0.1), 6, last_batch="mask"), make_steps(made, rule, SGD(lr=0.1), 4)
    for ours, theirs in zip(trained(masked, filled), trained(plain, alone), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


#: Tunings and optimisers, each of which changes what becomes of a gradient.
TOGETHER: dict[str, tuple[FineTuning, Optimizer]] = {
    "frozen layer, two steps an update": (FineTuning(("block1.*.weight",)), SGD(lr=0.1, accumulate=2)),
    "frozen block, clipped": (FineTuning(("block0",)), SGD(lr=0.1, clip_norm=0.05)),
    "rates and decays": (FineTuning(lr_for={"block0": 0.1}, decay_for={"*.bias": 0.3}), AdamW(lr=0.01)),
    "adapters, two steps an update": (FineTuning(adapter="lora", rank=2), AdamW(lr=0.01, accumulate=2)),
}


@pytest.mark.parametrize("variant", TOGETHER)
@pytest.mark.parametrize("rule", ["bll", "greedy"])
def test_nor_under_tunings_and_over_gathered_steps(variant: str, rule: str) -> None:
    """Three batches, so that an update has been taken and another is half gathered; their counts differ."""
    tuning, optimizer = TOGETHER[variant]
    tuned, counts, alone, filled = fine_tuned(network("classification"), tuning), (4, 6, 3), [], []
    masked = make_steps(tuned, make_rule(rule), optimizer, 6, last_batch="mask")
    for count in counts:
        x, y = torch.randn(6, 1, 4, 4), torch.eye(3)[torch.arange(6) % 3]
        filled.append((x, y, count))
        alone.append((x[:count], y[:count], count))
    states = [step.initial_state() for step in masked]
    for x, y, count in alone:
        for index, step in enumerate(make_steps(tuned, make_rule(rule), optimizer, count)):
            stepped = step(states[index], x, y, {"lr": LR} if step.spec.scalars else {})
            states[index], x = stepped.state, stepped.a
    ours = trained(masked, filled)[-sum(map(len, states)) :]
    moved = [not torch.equal(new, old) for step, state in zip(masked, states, strict=True) for new, old in pairs(step, state)]
    assert any(moved)
    for own, theirs in zip(ours, (value for state in states for value in state.values()), strict=True):
        torch.testing.assert_close(own, theirs, rtol=1e-4, atol=1e-6)


def pairs(step: BlockStep, state: dict[str, torch.Tensor]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """What trains, after and before."""
    first = step.initial_state()
    return [(state[name], first[name]) for name in step.trained]


def test_a_full_batch_trains_as_if_nobody_had_told() -> None:
    made = network("classification")
    x, y = torch.randn(6, 1, 4, 4), torch.eye(3)[torch.arange(6) % 3]
    both = [make_steps(made, make_rule("bll"), SGD(lr=0.1), 6, last_batch=how) for how in ("mask", "drop")]
    for ours, theirs in zip(*(trained(steps, [(x, y, 6)] * 2) for steps in both), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


def test_a_count_off_by_rounding_is_the_same_count() -> None:
    for count in (3.0, 3.0000002, 2.9999998):
        assert counted(torch.tensor(count), 5, torch.device("cpu")).tolist() == [1, 1, 1, 0, 0]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sim", {}),
        ("predsim", {}),
        ("bll", {"feedback": "chain"}),
        ("bll", {"decorrelate": 0.1}),
        ("infopro", {}),
    ],
)
def test_rules_that_compare_samples_refuse(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(
        ConfigError,
        match=r"the rule of block0 compares samples with each other.*; drop the last batch, or use .* bll, greedy or pred$",
    ):
        make_steps(network("classification"), make_rule(name, **options), SGD(lr=0.1), 6, last_batch="mask")


def test_another_word_is_refused() -> None:
    with pytest.raises(ConfigError, match="the last batch must be one of drop, mask, not 'keep'"):
        make_steps(network("classification"), make_rule("greedy"), SGD(lr=0.1), 6, last_batch="keep")
