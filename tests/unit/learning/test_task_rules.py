"""Which rule serves which task: as the page says, and refused by one sentence otherwise."""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest
import torch
from support.documents import Document
from support.rules import DENSE
from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.tasks import TASKS
from edgebll.learning import SGD, make_rule, make_steps
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.networks.block_network import Unit

#: Row of the page -> rule and options.
VARIANTS = {
    **{name: (name, {}) for name in DENSE},
    "bll, chained": ("bll", {"feedback": "chain"}),
    "infopro, contrast": ("infopro", {"loss": "contrast"}),
}


def page() -> dict[str, list[bool]]:
    """Rule -> for each task whether it is served."""
    text = Document("docs/explanation/tasks.md").text.split("## Which rule serves which task")[1]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert rows[0] == ["rule", *TASKS]
    found: dict[str, list[bool]] = {}
    for names, *cells in rows[1:]:
        single = names in VARIANTS
        found |= {name: [cell == "yes" for cell in cells] for name in ([names] if single else re.split(", ", names))}
    return found


def network(task: str, blocks: int) -> BlockNetwork:
    """Two units of convolutions, and an end for the task."""
    ends: dict[str, list[nn.Module]] = {
        "segmentation": [nn.Upsample(scale_factor=2), nn.Conv2d(4, 3, 1)],
        "reconstruction": [nn.Flatten(), nn.Linear(4 * 16, 64), nn.Unflatten(1, (1, 8, 8))],
        "next-byte": [nn.Linear(16, 3)],
    }
    first = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU())
    second = nn.Sequential(nn.Conv2d(4, 4, 3, 1, 1), nn.ReLU())
    if task == "next-byte":  # sixteen features, and a label, for each of four positions
        first, second = first.append(nn.Flatten(2)), nn.Sequential(nn.Linear(16, 16), nn.ReLU())
    last = nn.Sequential(second, *ends.get(task, [nn.Flatten(), nn.Linear(4 * 16, 3)]))
    made = TASKS[task]()
    if blocks == 1:
        return BlockNetwork([nn.Sequential(first, last)], None, (1, 8, 8), task=made)

    def rebuild(shape: tuple[int, ...], _stride: int) -> nn.Module:
        return copy.deepcopy(second) if task == "next-byte" else nn.Sequential(nn.Conv2d(shape[0], 4, 3, 1, 1), nn.ReLU())

    units = [[Unit(first, 1)], [Unit(second, 1, rebuild)]]
    return BlockNetwork([nn.Sequential(first), last], None, (1, 8, 8), units=units, task=made)


def test_the_page_has_every_rule() -> None:
    assert page().keys() == VARIANTS.keys()


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_rule_trains_for_a_task_or_says_why_not(variant: str, task: str) -> None:
    name, options = VARIANTS[variant]
    rule = make_rule(name, **options)
    made = network(task, 1 if rule.one_block else 2)
    if not page()[variant][list(TASKS).index(task)]:
        with pytest.raises(ConfigError, match=rf"^{name}.*({task}|of 4 positions).*; (use|leave|choose) "):
            make_steps(made, rule, SGD(lr=0.05), 4)
        return
    torch.manual_seed(0)
    steps = make_steps(made, rule, SGD(lr=0.05), 4)
    x = torch.randn(4, 1, 8, 8)
    examples = made.task.examples(4, made.shapes[-1], np.random.default_rng(0))
    y = x if made.task.of_input else torch.from_numpy(examples)
    for step in steps:
        state = step.initial_state()
        received = {tensor.name: torch.zeros(tensor.shape) for tensor in step.spec.received}
        new, x, metrics, _ = step(state, x, y, {"lr": torch.tensor(0.05)}, received)
        assert metrics.isfinite().all()
        learnt = [n for n in step.trained if n.startswith("net.") and not torch.equal(new[n], state[n])]
        assert learnt or name == "backlink", "the block learns"
        assert tuple(y.shape) == step.spec.labels.shape


def test_a_rule_smooths_classes_alone() -> None:
    with pytest.raises(ConfigError, match=r"label smoothing of 0\.1 does not go with the task regression; leave it out"):
        make_steps(network("regression", 2), make_rule("greedy", label_smoothing=0.1), SGD(lr=0.05), 4)
