"""Every kind of network exports, and its graphs compute what PyTorch does: forward pass, feedback head and training steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from support.networks import small_network
from support.slow import slow_after

from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.spec.manifest import Manifest
from edgebll.learning import make_optimizer, make_rule
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.networks.resnet import ResNet50
from edgebll_export import export_bundle, verify_bundle


@dataclass(frozen=True)
class TwoBottlenecks(ResNet50):
    """Both kinds of bottleneck, with and without a projection."""

    width: int = 4

    depths: ClassVar[tuple[int, ...]] = (1, 1)


def _network(name: str) -> BlockNetwork:
    if name == "bottlenecks":
        return TwoBottlenecks().build(7, (3, 8, 8)).cut(split="2,1")
    return small_network(name, split={"vgg16": "6,10", "alexnet": "3,5"}[name])


def _export(network: BlockNetwork, rule: str, path: Path) -> Manifest:
    return export_bundle(network, rule=make_rule(rule), optimizer=make_optimizer("sgd"), batch_size=4, path=path)


@pytest.mark.parametrize("name", slow_after(0, ["alexnet", "bottlenecks", "vgg16"], "vgg16".__eq__))
def test_networks_export_and_verify(name: str, tmp_path: Path) -> None:
    network = _network(name)
    _export(network, "bll", tmp_path / "bundle")
    given = network if name == "bottlenecks" else None  # the others are built again from the manifest
    rows = verify_bundle(tmp_path / "bundle", steps=2, network=given)
    assert not [row for row in rows if row.failed]
    assert {row.graph for row in rows} == {"step", "forward", "feedback"}


def test_dropout_travels_with_the_state(tmp_path: Path) -> None:
    """The generators are state that every step moves on, and the forward pass for evaluation does not need them."""
    network = small_network("alexnet", num_blocks=1)
    export_bundle(network, rule=make_rule("backprop"), optimizer=make_optimizer("sgd"), batch_size=4, path=tmp_path / "bundle")
    bundle = open_bundle(tmp_path / "bundle")
    (spec,) = bundle.manifest.blocks
    words = [tensor.name for tensor in spec.state if tensor.name.endswith("words")]
    assert len(words) == 2
    assert not set(words) & set(spec.forward_state)
    state, golden = bundle.state(spec.name), bundle.golden(spec.name)
    for name in words:
        assert not (state[name] == golden[f"final/{name}"]).all()


def test_sequences_have_labels_and_targets_for_every_position(tmp_path: Path) -> None:
    options = {"depth": 2, "dim": 8, "hidden": 12}
    network = make_network("transformer", num_blocks=2, num_classes=7, input_shape=(10, 10), seed=0, options=options)
    first, last = _export(network, "bll", tmp_path / "bundle").blocks
    assert first.labels.shape == last.labels.shape == last.output.shape == (4, 10, 7)
    assert first.beta is not None
    assert first.beta.shape == first.output.shape == (4, 10, 8)
    y = open_bundle(tmp_path / "bundle").golden("block0")["0/y"]
    assert np.array_equal(y.sum(-1), np.ones((4, 10)))
    assert not [row for row in verify_bundle(tmp_path / "bundle", steps=2) if row.failed]
