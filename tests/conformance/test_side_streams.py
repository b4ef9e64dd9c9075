"""What every runtime promises of what blocks send each other."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tiny_bundle import make_batch

from edgebll.kernel.bundle import Bundle, bundle_writer, open_bundle, write_manifest
from edgebll.kernel.errors import BundleError, DataError
from edgebll_devices.runtimes import BlockRuntime, load_block

LR = {"lr": 0.1}
Array = np.ndarray[Any, Any]


@pytest.fixture
def block(runtime: str, bundles: dict[str, Bundle]) -> Iterator[BlockRuntime]:
    """A block that receives two tensors of block0 and sends one."""
    with load_block(runtime, bundles["told"], "block2") as loaded:
        yield loaded


def _received(seed: int) -> dict[str, Array]:
    random = np.random.default_rng(seed)
    return {
        "block0.told": random.standard_normal(6, dtype=np.float32),
        "block0.seen": random.standard_normal((4, 6), dtype=np.float32),
    }


def test_what_is_received_takes_part_in_the_step(block: BlockRuntime, bundles: dict[str, Bundle]) -> None:
    w = block.state()["w"].astype(np.float64)
    for seed in range(5):
        x, y = make_batch(bundles["told"], seed)
        given = _received(seed)
        a, _, sent = block.train(x, y, LR, given)
        np.testing.assert_allclose(a, np.maximum(x @ w, 0), rtol=1e-4, atol=1e-6)
        w = w - 0.1 * x.T @ np.maximum(x @ w, 0) / len(x)
        w -= 0.1 * (given["block0.told"] + given["block0.seen"].mean(0))[:, None]
        assert sent.keys() == {"told"}
        assert (sent["told"].dtype, sent["told"].shape) == (np.float32, (6,))
        np.testing.assert_allclose(sent["told"], w.mean(1), rtol=1e-4, atol=1e-6)
    final: Any = block.state()["w"]
    np.testing.assert_allclose(final, w, rtol=1e-4, atol=1e-6)


def test_what_was_sent_never_changes_later(runtime: str, bundles: dict[str, Bundle]) -> None:
    given = []
    with load_block(runtime, bundles["told"], "block0") as block:
        for seed in range(5):
            x, y = make_batch(bundles["told"], seed)
            _, _, sent = block.train(x, y, LR, {"block3.told": np.full(6, seed, np.float32)})
            assert list(sent) == ["told", "seen"]
            assert (sent["seen"] == x).all()
            given += [(value, value.copy()) for value in sent.values()]
    assert all(value.tobytes() == kept.tobytes() for value, kept in given)
    with pytest.raises(ValueError, match="read-only"):
        given[0][0][...] = 0


def test_bits_do_not_depend_on_where_a_received_tensor_lies(
    runtime: str, block: BlockRuntime, bundles: dict[str, Bundle]
) -> None:
    x, y = make_batch(bundles["told"], 0)
    given = _received(0)
    shifted = {name: np.concatenate([[0], value.ravel()]).astype(np.float32)[1:] for name, value in given.items()}
    shifted = {name: np.asfortranarray(shifted[name].reshape(value.shape)) for name, value in given.items()}
    with load_block(runtime, bundles["told"], "block2") as other:
        for _ in range(2):
            pair = (block.train(x, y, LR, given), other.train(x, y, LR, shifted))
            assert pair[0][2]["told"].tobytes() == pair[1][2]["told"].tobytes()
        assert block.state()["w"].tobytes() == other.state()["w"].tobytes()


def test_a_block_that_sends_nothing_gives_an_empty_dict(runtime: str, bundles: dict[str, Bundle]) -> None:
    with load_block(runtime, bundles["tiny"], "block0") as block:
        x, y = make_batch(bundles["tiny"], 0)
        assert block.train(x, y, LR)[2] == block.train(x, y, LR, {})[2] == {}
        with pytest.raises(DataError, match=r"block0 expected to receive nothing and got block0.seen, block0.told"):
            block.train(x, y, LR, _received(0))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (None, "expected to receive block0.seen, block0.told and got nothing"),
        ({"block0.told": None}, "expected to receive block0.seen, block0.told and got block0.seen"),
        ({"block1.told": np.ones(6, np.float32)}, "and got block0.seen, block0.told, block1.told"),
        ({"block0.told": np.ones(5, np.float32)}, r"expected block0.told as float32\[6\] and got float32\[5\]"),
        ({"block0.seen": np.ones((4, 6))}, r"expected block0.seen as float32\[4, 6\] and got float64\[4, 6\]"),
    ],
)
def test_misfits_are_refused_and_leave_the_state(
    block: BlockRuntime, bundles: dict[str, Bundle], changes: dict[str, Array | None] | None, sentence: str
) -> None:
    before = block.state()["w"].tobytes()
    given = None if changes is None else {name: v for name, v in {**_received(0), **changes}.items() if v is not None}
    with pytest.raises(DataError, match=sentence) as caught:
        block.train(*make_batch(bundles["told"], 0), LR, given)
    assert "\n" not in str(caught.value)
    assert block.state()["w"].tobytes() == before


@pytest.mark.parametrize(
    ("block", "odd"), [("block1", "input 'block2.told' is missing"), ("block3", "output 'told' is missing")]
)
def test_a_graph_without_the_streams_of_its_block_is_refused(
    runtime: str, bundles: dict[str, Bundle], tmp_path: Path, block: str, odd: str
) -> None:
    told = bundles["told"]
    with bundle_writer(tmp_path / "odd") as folder:
        shutil.copytree(told.path, folder, dirs_exist_ok=True)
        plain = bundles["tiny"].path / ("block1" if block == "block3" else "block0") / "step.onnx"
        shutil.copyfile(plain, folder / block / "step.onnx")
        write_manifest(folder, told.manifest)
    with pytest.raises(BundleError, match=rf"{block}/step.onnx: the {odd}") as caught:
        load_block(runtime, open_bundle(tmp_path / "odd"), block)
    assert "\n" not in str(caught.value)
