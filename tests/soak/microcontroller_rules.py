"""The larger networks for microcontrollers under rules and optimisers that `make test-more` has on smaller ones: by name.

pytest tests/soak/microcontroller_rules.py          (three minutes on one processor)
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.microcontroller_training import check_training

from edgebll.learning import SGD, Adam, AdamW, Optimizer

PLAIN = SGD(momentum=0.0, nesterov=False, weight_decay=0.0)
CASES: list[tuple[str, str, Optimizer]] = [
    ("resnet", "greedy", SGD()),
    ("resnet", "predsim", PLAIN),
    ("resnet", "dgl", Adam()),
    ("dscnn", "greedy", SGD()),
    ("dscnn", "backprop", AdamW()),
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "rule", "optimizer"), CASES)
def test_blocks_train_as_the_users_module_does(name: str, rule: str, optimizer: Optimizer, tmp_path: Path) -> None:
    check_training(name, rule, optimizer, tmp_path / "bundle")
