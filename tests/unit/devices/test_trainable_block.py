"""Blocks called from a program: what they give is what runtimes and the user's modules give, and misuse costs nothing."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.exported import BATCH_SIZE, mlp, tokens

import edgebll_devices
from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.errors import BundleError, ConfigError, DataError, EdgebllError
from edgebll_devices import TrainableBlock, load_block

#: Trains a block where nothing of PyTorch or onnx can be imported.
ALONE = """
import sys
sys.modules["torch"] = sys.modules["onnx"] = None
import numpy, edgebll
with edgebll.load_block(sys.argv[1], 1) as block:
    a, metrics = block.train(numpy.ones(block.spec.input.shape), numpy.zeros(block.batch_size, int), lr=0.1)
print(block.name, a.shape, metrics["loss"] > 0)
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dense blocks."""
    return mlp(tmp_path_factory.mktemp("blocks") / "bundle").path


def close(actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(one[name].tobytes() == other[name].tobytes() for name in one)


@pytest.mark.parametrize("runtime", ["onnxruntime", "reference"])
def test_training_gives_the_golden_vectors(bundle: Path, runtime: str) -> None:
    golden = open_bundle(bundle).golden("block0")
    with load_block(bundle, "block0", runtime=runtime) as block:
        assert (block.name, block.batch_size) == ("block0", BATCH_SIZE)
        a, metrics = block.train(golden["0/x"], golden["0/y"], float(golden["0/lr"]))
        close(a, golden["0/a"])
        close([metrics[name] for name in block.spec.metrics], golden["0/metrics"])
        for name, value in block.state().items():
            close(value, golden[f"0/next/{name}"])
        assert block.sent == {}
        block.load_state({name: golden[f"final/{name}"] for name in block.state()})
        close(block.predict(golden["forward/x"]), golden["forward/a"])
        close(block.feedback(golden["feedback/y"]), golden["feedback/beta"])


def test_classes_lists_and_any_number_of_samples_are_taken(bundle: Path) -> None:
    generator = np.random.default_rng(0)
    x, classes = generator.standard_normal((BATCH_SIZE, 1, 6, 6), np.float32), generator.integers(0, 5, BATCH_SIZE)
    with load_block(str(bundle), 0) as block, load_block(open_bundle(bundle), "block0") as other:
        block.train(x, np.eye(5, dtype=np.float32)[classes], 0.1)
        other.train(x.tolist(), classes.tolist(), lr=0.1)
        assert equal(block.state(), other.state())
        many = np.concatenate([x, x[:3]])
        whole = block.predict(x)
        np.testing.assert_array_equal(np.asarray(block.predict(many)), np.concatenate([whole, whole[:3]]))
        np.testing.assert_array_equal(np.asarray(block.predict(many[:1])), whole[:1])


def test_a_state_is_kept_in_a_file_and_gone_on_from(bundle: Path, tmp_path: Path) -> None:
    x, y = np.ones((BATCH_SIZE, 1, 6, 6), np.float32), np.zeros(BATCH_SIZE, np.int64)
    with load_block(bundle, 0) as block:
        block.train(x, y, 0.1)
        block.save(tmp_path / "block0.safetensors")
        saved = block.state()
        block.train(x, y, 0.1)
        after = block.state()
        assert not equal(saved, after)
        block.restore(tmp_path / "block0.safetensors")
        assert equal(block.state(), saved)
        block.train(x, y, 0.1)
        assert equal(block.state(), after), "the same bits from a file"
        (tmp_path / "half").write_bytes((tmp_path / "block0.safetensors").read_bytes()[:100])
        with load_block(bundle, 1) as second:
            second.save(tmp_path / "other")
        for name, words in (("half", "is not a whole"), ("nothing", "cannot be read"), ("other", "is (missing|not expected)")):
            with pytest.raises(BundleError, match=f"{words}.*; give a file that `save` wrote of block0"):
                block.restore(tmp_path / name)
        assert equal(block.state(), after), "what was refused changed nothing"


GOOD_X, GOOD_Y = np.zeros((BATCH_SIZE, 1, 6, 6), np.float32), np.zeros(BATCH_SIZE, np.int64)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda b: b.train(GOOD_X[:3], GOOD_Y, 0.1), DataError, r"expected x of shape \(8, 1, 6, 6\) and got \(3, 1, 6, 6\)"),
        (lambda b: b.train(GOOD_X.astype(np.uint8), GOOD_Y, 0.1), DataError, "expected x as float32 and got uint8; convert"),
        (lambda b: b.train(GOOD_X * np.nan, GOOD_Y, 0.1), DataError, "got NaN or infinite numbers in x, which would spoil"),
        (lambda b: b.train(np.full(GOOD_X.shape, 1e300), GOOD_Y, 0.1), DataError, "got NaN or infinite numbers in x"),
        (lambda b: b.train([[1], [2, 3]], GOOD_Y, 0.1), DataError, "cannot make an array of x"),
        (lambda b: b.train("pixels", GOOD_Y, 0.1), DataError, "expected numbers in x"),
        (lambda b: b.train(GOOD_X, GOOD_Y + 5, 0.1), DataError, "block0, y: labels must lie in 0..4, but reach from 5 to 5"),
        (lambda b: b.train(GOOD_X, GOOD_Y - 1, 0.1), DataError, "reach from -1 to -1"),
        (lambda b: b.train(GOOD_X, np.zeros((8, 4), np.float32), 0.1), DataError, r"expected y of shape \(8, 5\)"),
        (lambda b: b.train(GOOD_X, np.ones((8, 5), np.float32), 0.1), DataError, "block0, y: soft labels must be shares"),
        (lambda b: b.train(GOOD_X, -np.eye(8, 5, dtype=int), 0.1), DataError, "soft labels must be shares"),
        (lambda b: b.feedback(np.zeros((8, 5))), DataError, "soft labels must be shares"),
        (lambda b: b.train(GOOD_X, GOOD_Y, float("nan")), ConfigError, "learning rate must be a finite number"),
        (lambda b: b.train(GOOD_X, GOOD_Y, "fast"), ConfigError, "at least 0, not 'fast'"),
        (lambda b: b.train(GOOD_X, GOOD_Y, 0.1, received={"z": GOOD_X}), DataError, "expected to receive nothing and got z"),
        (lambda b: b.predict(GOOD_X[:0]), DataError, r"expected x of shape \(N, 1, 6, 6\) and got \(0, 1, 6, 6\)"),
        (lambda b: b.predict(GOOD_X[0]), DataError, r"got \(1, 6, 6\)"),
        (lambda b: b.feedback(GOOD_Y + 9), DataError, "labels must lie in 0..4"),
        (lambda b: b.load_state({}), BundleError, "is missing"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_changes_nothing(
    bundle: Path, call: Callable[[TrainableBlock], Any], kind: type[EdgebllError], words: str
) -> None:
    with load_block(bundle, 0) as block:
        before = block.state()
        with pytest.raises(kind, match=words):
            call(block)
        assert equal(block.state(), before)
        block.train(GOOD_X, GOOD_Y, 0.1)


def test_tokens_are_whole_numbers(tmp_path: Path) -> None:
    path = tokens(tmp_path / "bundle").path
    with load_block(path, 0) as block:
        block.train(np.ones((BATCH_SIZE, 5), np.int32), [0, 1, 2, 0, 1, 2, 0, 1], 0.1)
        with pytest.raises(DataError, match="expected x as int64 and got float64"):
            block.predict(np.ones((1, 5)))


def test_there_is_no_such_block_or_runtime(bundle: Path) -> None:
    for arguments, options, words in (
        ((bundle, 2), {}, "there is no block 2; .* has 2, from 0"),
        ((bundle, -1), {}, "there is no block -1"),
        ((bundle, "block7"), {}, "there is no block 'block7'"),
        ((bundle / "nowhere", 0), {}, "is not a bundle"),
        ((bundle, 0), {"runtime": "magic"}, "magic"),
        ((bundle, 0), {"threads": 0}, "threads must be at least 1"),
        (("onnxruntime", "block0"), {}, "takes the bundle first: .*runtime='onnxruntime'"),
    ):
        with pytest.raises(EdgebllError, match=words):
            load_block(*arguments, **options)


def test_a_closed_block_and_one_in_use_say_so(bundle: Path) -> None:
    block = load_block(bundle, 0)
    told: list[BaseException] = []

    def from_elsewhere() -> None:
        try:
            block.state()
        except ConfigError as error:
            told.append(error)

    with block._in_use():
        thread = threading.Thread(target=from_elsewhere)
        thread.start()
        thread.join()
    assert "block0 is used by another thread" in str(told[0])
    with block._in_use(), pytest.raises(ConfigError, match="block0 is used by another thread"):
        block.close()
    assert block.state()
    block.close()
    block.close()
    with pytest.raises(ConfigError, match="block0 is closed; load it again"):
        block.predict(GOOD_X)


def test_the_end_of_with_waits_for_a_call_under_way(bundle: Path) -> None:
    inside, leave, came_back = threading.Event(), threading.Event(), threading.Event()

    def call() -> None:
        with block._in_use() as runtime:
            inside.set()
            assert leave.wait(20)
            runtime.state()
            came_back.set()

    def end() -> None:
        with block:
            pass
        ended.append(came_back.is_set())

    ended: list[bool] = []
    block = load_block(bundle, 0)
    threads = [threading.Thread(target=call), threading.Thread(target=end)]
    threads[0].start()
    assert inside.wait(20)
    threads[1].start()
    threads[1].join(0.1)  # it must not end, however long it is waited for
    leave.set()
    for thread in threads:
        thread.join()
    assert ended == [True]


def test_no_torch_and_no_onnx(bundle: Path) -> None:
    done = subprocess.run([sys.executable, "-c", ALONE, str(bundle)], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("block1 (8, 5) True"), done.stderr
    assert sorted(edgebll_devices.__all__) == ["TrainableBlock", "load_block"]
