"""Every rule on two networks: exported, verified, pipelined over two and four boards. See support/rules.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.rules import VARIANTS, agents, check_rule
from support.slow import slow_after

from edgebll_firmware_host.inventory import Cluster

#: All rules on dense blocks, and those with streams of their own on convolutions; the others on these are slow.
CASES = [(rule, "mlp") for rule in VARIANTS] + [(rule, "resnet8") for rule in ("bll", "infopro", "backlink")]
CASES += slow_after(0, [(rule, "resnet8") for rule in VARIANTS if (rule, "resnet8") not in CASES])  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Cluster]]:
    with agents(tmp_path_factory.mktemp("boards")) as made:
        yield made


@pytest.mark.parametrize(("rule", "network"), CASES)
def test_it_exports_verifies_and_gives_the_same_bits_on_boards(
    rule: str, network: str, clusters: dict[int, Cluster], tmp_path: Path
) -> None:
    check_rule(rule, network, clusters, tmp_path)
