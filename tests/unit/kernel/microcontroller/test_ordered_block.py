"""A block that runs from its plans: the steps of another runtime, its memory told in bytes, and refusals in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.tiny_bundle import SIDES, make_batch, make_tiny_bundle

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BundleError
from edgebll.kernel.execution.block_runtime import BlockRuntime
from edgebll.kernel.execution.runtime_table import load_block
from edgebll.kernel.microcontroller import plan_block


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture
def blocks(bundle: Bundle) -> Iterator[tuple[BlockRuntime, BlockRuntime]]:
    """The last block on two runtimes."""
    with load_block("ordered", bundle, "block1") as own, load_block("onnxruntime", bundle, "block1") as other:
        yield own, other


def test_it_trains_as_onnxruntime_does(blocks: tuple[BlockRuntime, BlockRuntime], bundle: Bundle) -> None:
    """The counter of steps is int64: it comes back as a whole number."""
    for seed in range(20):
        x, y = make_batch(bundle, seed)
        (a, metrics, _), (other_a, other_metrics, _) = (block.train(x, y, {"lr": 0.1}) for block in blocks)
        np.testing.assert_allclose(a, other_a, rtol=1e-5, atol=1e-6)
        assert metrics == pytest.approx(other_metrics, rel=1e-5)
    own, other = (block.state() for block in blocks)
    assert own["steps"].dtype == np.int64
    for name, value in other.items():
        assert own[name] == pytest.approx(value, rel=1e-5, abs=1e-6), name
    np.testing.assert_allclose(blocks[0].evaluate(x), blocks[1].evaluate(x), rtol=1e-5, atol=1e-6)


def test_what_blocks_tell_each_other_is_in_the_plans(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "told", blocks=4, sides=SIDES)
    spec = bundle.manifest.block("block2")
    x, y = (np.ones(tensor.shape, np.float32) for tensor in (spec.input, spec.labels))
    received = {tensor.name: np.full(tensor.shape, 0.5, np.float32) for tensor in spec.received}
    assert received
    results = []
    for runtime in ("ordered", "onnxruntime"):
        with load_block(runtime, bundle, "block2") as block:
            results.append((block.train(x, y, {"lr": 0.1}, received), block.state()))
    (own, own_state), (other, other_state) = results
    assert own[2].keys() == {tensor.name for tensor in spec.sent}
    for name, value in {**other[2], **other_state}.items():
        np.testing.assert_allclose({**own[2], **own_state}[name], value, rtol=1e-5, atol=1e-6)


def test_memory_is_what_the_parts_take(bundle: Bundle) -> None:
    plan = plan_block(bundle, "block0")
    spec = bundle.manifest.block("block0")
    assert plan.state_bytes == -(-spec.state_bytes // 8) * 8
    assert plan.plan_bytes == sum(map(len, plan.encoded.values()))
    assert plan.lower_bound_bytes <= plan.arena_bytes <= plan.lower_bound_bytes + 8
    rounded = [-(-len(part) // 8) * 8 for part in plan.encoded.values()]
    assert plan.pool_bytes == sum(rounded) + plan.state_bytes + plan.arena_bytes
    inputs = sum(place.tensor.size_bytes for place in plan.graphs["step"].inputs)
    assert inputs <= plan.lower_bound_bytes, "all inputs lie in the arena before a step"


def test_another_precision_is_refused(bundle: Bundle) -> None:
    mixed = replace(bundle, manifest=replace(bundle.manifest, precision="mixed"))
    with pytest.raises(BundleError, match="computes in mixed and microcontrollers in float32 or int8; export with one of"):
        plan_block(mixed, "block0")


def test_a_block_that_is_not_there_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="there is no block 'block9'"):
        plan_block(bundle, "block9")
