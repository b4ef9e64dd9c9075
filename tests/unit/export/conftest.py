"""All tests of exports: the user's modules come back as they were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from support.untouched_modules import differences, fingerprint
from torch import nn

from edgebll.learning.networks import BlockNetwork


@pytest.fixture(autouse=True)
def _modules_stay_as_they_are(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every network that a test makes is, at its end, what it was made as; tests that train one themselves say so."""
    made: list[tuple[BlockNetwork, dict[str, Any]]] = []
    make = BlockNetwork.__init__

    def recorded(network: BlockNetwork, *args: Any, **options: Any) -> None:
        blocks = args[0] if args else options["blocks"]
        before = {
            f"block {index}, {key}": value for index, block in enumerate(blocks) for key, value in fingerprint(block).items()
        }
        make(network, *args, **options)
        made.append((network, before))

    monkeypatch.setattr(BlockNetwork, "__init__", recorded)
    yield
    if request.node.get_closest_marker("trains_modules") is None:
        for network, before in made:
            assert not differences(before, _fingerprints(network.blocks)), "an export changed the user's module"


def _fingerprints(blocks: Iterable[nn.Module]) -> dict[str, Any]:
    return {f"block {i}, {key}": value for i, block in enumerate(blocks) for key, value in fingerprint(block).items()}
