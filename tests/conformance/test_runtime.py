"""What every runtime promises besides the right numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support.tiny_bundle import make_batch

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BundleError, ConfigError, DataError
from edgebll_devices.runtimes import RUNTIMES, BlockRuntime, available_runtimes, load_block

LR = {"lr": 0.1}


@pytest.fixture
def block(runtime: str, bundles: dict[str, Bundle]) -> Iterator[BlockRuntime]:
    with load_block(runtime, bundles["tiny"], "block1") as loaded:
        yield loaded


def _batch(bundle: Bundle, block: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    spec = bundle.manifest.block(block)
    random = np.random.default_rng(seed)
    x = random.standard_normal(spec.input.shape, dtype=np.float32)
    return x, np.eye(spec.labels.shape[1], dtype=np.float32)[random.integers(0, spec.labels.shape[1], len(x))]


def _bits(block: BlockRuntime) -> dict[str, bytes]:
    return {name: value.tobytes() for name, value in block.state().items()}


def test_step_is_the_arithmetic_written_by_hand(block: BlockRuntime, bundles: dict[str, Bundle]) -> None:
    w = block.state()["w"].astype(np.float64)
    for seed in range(5):
        x, y = make_batch(bundles["tiny"], seed)
        a, metrics, _ = block.train(x, y, {"lr": 0.1 * (seed + 1)})
        error = x @ w - y
        np.testing.assert_allclose(a, x @ w, rtol=1e-5, atol=1e-6)
        assert metrics == {"loss": pytest.approx((error**2).mean(), rel=1e-5)}
        w -= 0.1 * (seed + 1) * x.T @ error / len(x)
    final: Any = block.state()["w"]
    np.testing.assert_allclose(final, w, rtol=1e-4, atol=1e-6)
    assert block.state()["steps"] == 5


def test_equal_runs_give_equal_bits_wherever_inputs_lie(runtime: str, bundles: dict[str, Bundle]) -> None:
    bundle = bundles["resnet"]

    def run(offset_bytes: int) -> tuple[dict[str, bytes], list[bytes]]:
        with load_block(runtime, bundle, "block0") as block:
            outputs = []
            for seed in range(2):
                x, y = (_at(value, offset_bytes) for value in _batch(bundle, "block0", seed))
                a, metrics, _ = block.train(x, y, LR)
                outputs += [a.tobytes(), np.array(list(metrics.values())).tobytes(), block.evaluate(x).tobytes()]
            return _bits(block), outputs

    expected = run(0)
    for offset_bytes in (4, 8, 20, 48):
        assert run(offset_bytes) == expected


def _at(value: np.ndarray, offset_bytes: int) -> np.ndarray:
    """A read-only copy that starts `offset_bytes` after a multiple of 64."""
    raw = np.empty(value.nbytes + 128, np.uint8)
    start = -raw.ctypes.data % 64 + offset_bytes
    moved = raw[start : start + value.nbytes].view(value.dtype).reshape(value.shape)
    moved[...] = value
    moved.flags.writeable = False
    return moved


def test_inputs_of_any_layout_are_taken(block: BlockRuntime, runtime: str, bundles: dict[str, Bundle]) -> None:
    x, y = make_batch(bundles["tiny"], 0)
    a, _, _ = block.train(np.asfortranarray(x), y[:, :], LR)
    with load_block(runtime, bundles["tiny"], "block1") as other:
        expected, _, _ = other.train(x, y, LR)
        assert a.tobytes() == expected.tobytes()
        assert _bits(block) == _bits(other)


def test_outputs_never_change_later(block: BlockRuntime, bundles: dict[str, Bundle]) -> None:
    given = []
    for seed in range(4):
        x, y = make_batch(bundles["tiny"], seed)
        a, _, _ = block.train(x, y, LR)
        given += [(a, a.copy()), *((b, b.copy()) for b in [block.evaluate(x)])]
    assert all(value.tobytes() == kept.tobytes() for value, kept in given)
    with pytest.raises(ValueError, match="read-only"):
        given[0][0][...] = 0


def test_inputs_are_not_changed(block: BlockRuntime, bundles: dict[str, Bundle]) -> None:
    x, y = make_batch(bundles["tiny"], 0)
    kept = x.copy(), y.copy()
    block.train(x, y, LR)
    block.evaluate(x)
    assert (x == kept[0]).all()
    assert (y == kept[1]).all()


def test_state_comes_as_copies_and_goes_back(block: BlockRuntime, bundles: dict[str, Bundle]) -> None:
    batches = [make_batch(bundles["tiny"], seed) for seed in range(5)]
    block.train(*batches[0], LR)
    saved = block.state()
    kept = {name: value.copy() for name, value in saved.items()}
    for batch in batches[1:]:
        block.train(*batch, LR)
    expected = _bits(block)
    assert all((saved[name] == kept[name]).all() for name in saved)
    block.load_state(saved)
    saved["w"][...] = 7  # the runtime keeps a copy of its own
    for batch in batches[1:]:
        block.train(*batch, LR)
    assert _bits(block) == expected


@pytest.mark.parametrize("name", ["resnet", "mixed"])
@pytest.mark.parametrize("steps", [1, 2])
def test_load_state_begins_anew(runtime: str, bundles: dict[str, Bundle], name: str, steps: int) -> None:
    """Boards load a state into the runtime of an earlier incarnation: its bits are those of a block just loaded."""
    bundle = bundles[name]

    def go_on(block: BlockRuntime) -> list[object]:
        found: list[object] = []
        for seed in range(10, 12):
            x, y = _batch(bundle, "block0", seed)
            a, metrics, sent = block.train(x, y, LR)
            found += [a.tobytes(), metrics, sorted(sent), block.evaluate(x).tobytes(), _bits(block)]
        return found

    with load_block(runtime, bundle, "block0") as used, load_block(runtime, bundle, "block0") as anew:
        for seed in range(2):
            used.train(*_batch(bundle, "block0", seed), LR)
        saved = used.state()
        for seed in range(2, 2 + steps):  # either set of buffers may be the one in use
            used.train(*_batch(bundle, "block0", seed), LR)
        used.load_state(saved)
        anew.load_state(saved)
        assert _bits(used) == _bits(anew)
        assert go_on(used) == go_on(anew)


def test_evaluation_uses_the_newest_state_and_changes_nothing(block: BlockRuntime, bundles: dict[str, Bundle]) -> None:
    x, y = make_batch(bundles["tiny"], 0)
    for _ in range(3):
        before = _bits(block)
        np.testing.assert_allclose(block.evaluate(x), x @ block.state()["w"], rtol=1e-5, atol=1e-6)
        assert _bits(block) == before
        block.train(x, y, LR)
        assert _bits(block) != before


def test_feedback_follows_the_state(runtime: str, bundles: dict[str, Bundle]) -> None:
    with load_block(runtime, bundles["mlp"], "block0") as block:
        x, y = _batch(bundles["mlp"], "block0", 0)
        first = block.feedback(y).copy()
        assert block.spec.beta is not None
        assert first.shape == block.spec.beta.shape
        block.train(x, y, LR)
        assert block.feedback(y).tobytes() != first.tobytes()


def test_misfits_are_refused_in_one_sentence_and_leave_the_state(block: BlockRuntime, bundles: dict[str, Bundle]) -> None:
    x, y = make_batch(bundles["tiny"], 0)
    before = _bits(block)
    wrong = [(x[:-1], y, LR), (x.astype(np.float64), y, LR), (x, y[:, :-1], LR), (x.astype(">f4"), y, LR), (x, y, {})]
    for arguments in wrong:
        with pytest.raises(DataError, match="block1") as caught:
            block.train(*arguments)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="block1 expected x"):
        block.evaluate(x[:, :2])
    with pytest.raises(ConfigError, match="no feedback head"):
        block.feedback(y)
    with pytest.raises(BundleError, match="'steps' is missing"):
        block.load_state({"w": block.state()["w"]})
    assert _bits(block) == before


def test_unknown_names_are_refused(bundles: dict[str, Bundle]) -> None:
    with pytest.raises(ConfigError, match="onnxruntime, reference"):
        load_block("abacus", bundles["tiny"], "block0")
    with pytest.raises(ConfigError, match="threads"):
        load_block("reference", bundles["tiny"], "block0", threads=0)
    with pytest.raises(BundleError, match="block9"):
        load_block("reference", bundles["tiny"], "block9")
    assert set(available_runtimes()) <= set(RUNTIMES)
    assert "reference" in available_runtimes()


def test_threads_do_not_change_the_bits(bundles: dict[str, Bundle]) -> None:
    results = []
    for threads in (1, 2):
        with load_block("onnxruntime", bundles["resnet"], "block1", threads=threads) as block:
            for seed in range(2):
                block.train(*_batch(bundles["resnet"], "block1", seed), LR)
            results.append(_bits(block))
    assert results[0] == results[1]
