"""Every form of BLL on two networks: exported, verified, pipelined over two and four boards. See support/rules.py."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from support.rules import BLL_FORMS, agents, check_rule
from support.slow import slow_after

from edgebll_firmware_host.inventory import Cluster

#: One with the most of state, and one with the most terms: the other cases are slow.
QUICK = [("codes, standardised", "mlp"), ("spread", "mlp")]
CASES = slow_after(
    len(QUICK),
    sorted(product(BLL_FORMS, ("mlp", "resnet8")), key=lambda case: case not in QUICK),
    lambda _, network: network == "resnet8",
)


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Cluster]]:
    with agents(tmp_path_factory.mktemp("boards")) as made:
        yield made


@pytest.mark.parametrize(("form", "network"), CASES)
def test_it_exports_verifies_and_gives_the_same_bits_on_boards(
    form: str, network: str, clusters: dict[int, Cluster], tmp_path: Path
) -> None:
    check_rule(form, network, clusters, tmp_path)
