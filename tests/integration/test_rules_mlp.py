"""Every rule on the multi-layer perceptron: exported, verified, pipelined over two boards. See support/rules.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.rules import VARIANTS, check_rule, two_boards


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with two_boards(tmp_path_factory.mktemp("boards")) as path:
        yield path


@pytest.mark.parametrize("rule", VARIANTS)
def test_it_exports_verifies_and_gives_the_same_bits_on_boards(rule: str, cluster: Path, tmp_path: Path) -> None:
    check_rule(rule, "mlp", 3, cluster, tmp_path)
