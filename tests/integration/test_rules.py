"""Every rule on two networks: exported, verified, pipelined over two and four boards. See support/rules.py."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from support.rules import DENSE, VARIANTS, agents, check_rule
from support.slow import slow_after

from edgebll_firmware_host.inventory import Cluster

#: The first rule on convolutions, and one of each kind of stream on dense blocks: the other cases are slow.
QUICK = [("bll", "resnet8"), *((rule, "mlp") for rule in ("bll", "infopro", "backlink", "auglocal"))]
DENSE_CASES = (case for case in product(VARIANTS, ("mlp", "resnet8")) if VARIANTS[case[0]][0] in DENSE)
#: Convolutions are wide but where a rule adds layers of its own to them.
OWN_CONVOLUTIONS = ("auglocal",)
CASES = slow_after(
    len(QUICK),
    sorted(DENSE_CASES, key=lambda case: case not in QUICK),
    lambda rule, network: network == "resnet8" and rule not in OWN_CONVOLUTIONS,
)


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Cluster]]:
    with agents(tmp_path_factory.mktemp("boards")) as made:
        yield made


@pytest.mark.parametrize(("rule", "network"), CASES)
def test_it_exports_verifies_and_gives_the_same_bits_on_boards(
    rule: str, network: str, clusters: dict[int, Cluster], tmp_path: Path
) -> None:
    check_rule(rule, network, clusters, tmp_path)
