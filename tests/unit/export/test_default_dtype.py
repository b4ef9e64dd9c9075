"""Where the user's PyTorch makes float64 by default, bundles are the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgebll.kernel.bundle import open_bundle
from edgebll.learning import SGD, make_rule
from edgebll.learning.networks import BlockNetwork
from edgebll_export import export_bundle, verify_bundle


@pytest.fixture
def wide() -> Iterator[None]:
    """PyTorch makes float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def network() -> BlockNetwork:
    """Two blocks in float32."""
    torch.manual_seed(0)
    first = nn.Sequential(nn.Linear(6, 8, dtype=torch.float32), nn.Tanh(), nn.Dropout(0.5))
    return BlockNetwork([first, nn.Linear(8, 3, dtype=torch.float32)], num_classes=3, input_shape=(6,))


def exported(rule: str, folder: Path) -> dict[str, np.ndarray]:
    """The state that the bundle of a network starts from, and its golden vectors."""
    options = {} if rule in ("greedy", "dgl") else {"pool": "none"}
    optimizer = SGD(lr=0.1)
    export_bundle(network(), rule=make_rule(rule, **options), optimizer=optimizer, batch_size=4, path=folder, last_batch="mask")
    assert not any(row.failed for row in verify_bundle(folder, network=network(), steps=2))
    bundle = open_bundle(folder)
    return {**bundle.state("block0"), **{f"golden {name}": value for name, value in bundle.golden("block0").items()}}


@pytest.mark.parametrize("rule", ["bll", "greedy"])
def test_a_bundle_made_under_float64_is_that_made_under_float32(
    rule: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    expected = exported(rule, tmp_path / "narrow")
    request.getfixturevalue("wide")
    found = exported(rule, tmp_path / "wide")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        if not name.startswith("golden rounding/"):
            np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6, err_msg=name)
