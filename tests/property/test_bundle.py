"""Bundles: what was written is read; damage anywhere is a BundleError of one sentence; a replaced bundle is never lost."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiny_bundle import make_tiny_bundle

from edgebll.kernel.bundle import Bundle, bundle_writer, check_state, open_bundle, parse_manifest, write_manifest, write_updated
from edgebll.kernel.errors import BundleError, StorageError
from edgebll.kernel.spec.edge_check import EdgeSpec
from edgebll.kernel.spec.manifest import BlockSpec, TensorSpec
from edgebll.kernel.state.block_state import load_tensors, save_tensors, state_sha256
from edgebll.kernel.support.plain_dataclasses import to_plain


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def copy(bundle: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle.path, tmp_path / "copy"))


def _use(path: Path) -> None:
    """Open and read everything."""
    opened = open_bundle(path)
    for block in opened.manifest.blocks:
        opened.state(block.name)
        for graph in block.graphs:
            opened.graph(block.name, graph)


def _assert_refused(path: Path, match: str = "") -> None:
    with pytest.raises(BundleError, match=match) as caught:
        _use(path)
    assert "\n" not in str(caught.value)


def test_what_was_written_is_read(bundle: Bundle) -> None:
    _use(bundle.path)
    document = (bundle.path / "manifest.json").read_text()
    read = to_plain(parse_manifest(document, "here"))
    assert read.pop("task") == {}  # of classification without options nothing is written, as before there were tasks
    assert read.pop("recompute") == {}  # nor of what microcontrollers compute again, where that is nothing
    assert read == json.loads(document)
    assert bundle.state("block0")["steps"].shape == ()


def test_damage_to_any_byte_of_any_file_is_found(bundle: Bundle, copy: Path) -> None:
    for name in bundle.manifest.files:
        content = (copy / name).read_bytes()
        for position in range(0, len(content), max(1, len(content) // 40)):
            damaged = bytearray(content)
            damaged[position] ^= 0x40
            (copy / name).write_bytes(damaged)
            _assert_refused(copy, "SHA-256 differs")
        for wrong in (content[:-1], content + b"\0", b""):
            (copy / name).write_bytes(wrong)
            _assert_refused(copy, "SHA-256 differs")
        (copy / name).unlink()
        _assert_refused(copy, "is missing")
        (copy / name).write_bytes(content)
    _use(copy)


def test_a_lost_or_unreadable_folder_is_refused(tmp_path: Path, copy: Path) -> None:
    _assert_refused(tmp_path / "nowhere", "is not a bundle: manifest.json cannot be read .*make one with")
    (copy / "manifest.json").unlink()
    (copy / "manifest.json").mkdir()
    _assert_refused(copy, "is not a bundle")


def test_files_that_vanish_after_opening_are_refused(copy: Path) -> None:
    opened = open_bundle(copy)
    shutil.rmtree(copy / "block0")
    for attempt in (lambda: opened.graph("block0", "step"), lambda: opened.state("block0")):
        with pytest.raises(BundleError, match="cannot be read"):
            attempt()
    with pytest.raises(BundleError, match=r"has no block0/golden\.safetensors"):
        opened.golden("block0")


def test_damage_to_a_state_file_gives_tensors_or_one_sentence(bundle: Bundle, copy: Path) -> None:
    file = copy / "block0" / "state.safetensors"
    content = file.read_bytes()
    spec = bundle.manifest.block("block0")
    for position in range(len(content)):
        for wrong in (content[:position], content[:position] + bytes([content[position] ^ 0x15]) + content[position + 1 :]):
            file.write_bytes(wrong)
            with contextlib.suppress(BundleError):
                check_state(spec, load_tensors(file), "here")
    file.unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        load_tensors(file)


@settings(deadline=None)
@given(st.sampled_from(["float32", "float16", "int64", "int32", "uint8", "bool"]), st.lists(st.integers(0, 3), max_size=4))
def test_tensors_of_any_shape_are_saved_as_they_are(
    tmp_path_factory: pytest.TempPathFactory, dtype: str, shape: list[int]
) -> None:
    file = tmp_path_factory.mktemp("tensors") / "t.safetensors"
    value = (np.arange(np.prod(shape, dtype=int)) % 2).reshape(shape).astype(dtype)
    save_tensors(file, {"t": value, "transposed": value.T})
    loaded = load_tensors(file)
    for name, expected in {"t": value, "transposed": value.T}.items():
        assert loaded[name].dtype == dtype
        np.testing.assert_array_equal(loaded[name], expected)
        assert loaded[name].shape == expected.shape


def test_the_fingerprint_sees_every_bit_name_and_shape() -> None:
    base: dict[str, dict[str, np.ndarray]] = {"b": {"w": np.zeros((2, 3), np.float32), "n": np.array(0, np.int64)}}
    variants: list[dict[str, dict[str, np.ndarray]]] = [
        {"c": base["b"]},
        {"b": {"v": base["b"]["w"], "n": base["b"]["n"]}},
        {"b": {"w": base["b"]["w"].reshape(3, 2), "n": base["b"]["n"]}},
        {"b": {"w": base["b"]["w"] * np.float32(-1), "n": base["b"]["n"]}},
        {"b": {"w": base["b"]["w"], "n": base["b"]["n"].reshape(1)}},
        {"b": {"w": base["b"]["w"], "n": base["b"]["n"].astype(np.int32)}},
        {"b": {"w": base["b"]["w"]}, "c": {"n": base["b"]["n"]}},
    ]
    digests = [state_sha256(states) for states in [base, *variants]]
    assert len(set(digests)) == len(digests)
    fortran = {"b": {"n": base["b"]["n"], "w": np.asfortranarray(base["b"]["w"])}}
    assert state_sha256(fortran) == digests[0]


def test_a_state_that_does_not_fit_is_refused(bundle: Bundle) -> None:
    spec, state = bundle.manifest.block("block0"), bundle.state("block0")
    wrong = [
        ({**state, "more": state["w"]}, "'more' is not expected"),
        ({"w": state["w"]}, "'steps' is missing"),
        ({**state, "w": state["w"].T[:-1]}, r"'w' must be float32\[6, 6\]"),
        ({**state, "steps": np.zeros((), np.int32)}, r"'steps' must be int64\[\], but is int32\[\]"),
    ]
    for given_state, sentence in wrong:
        with pytest.raises(BundleError, match=sentence):
            check_state(spec, given_state, "here")


def test_updated_bundles_keep_graphs_and_take_states(bundle: Bundle, tmp_path: Path) -> None:
    states = {block.name: dict(bundle.state(block.name)) for block in bundle.manifest.blocks}
    states["block0"]["steps"] = np.array(7, np.int64)
    write_updated(bundle, states, tmp_path / "new", {"from": "a run"})
    updated = open_bundle(tmp_path / "new")
    assert updated.state("block0")["steps"] == 7
    assert updated.graph("block1", "step") == bundle.graph("block1", "step")
    assert updated.manifest.recipe["from"] == "a run"
    assert updated.manifest.golden_steps == 0


def test_a_failed_writer_leaves_the_earlier_bundle(copy: Path) -> None:
    def fail() -> None:
        with bundle_writer(copy) as folder:
            (folder / "half.bin").write_bytes(b"half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    _use(copy)
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


def test_a_bundle_is_replaced_whole_or_not_at_all(bundle: Bundle, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write() -> None:
        with bundle_writer(copy) as folder:
            shutil.copytree(bundle.path, folder, dirs_exist_ok=True)
            write_manifest(folder, dataclasses.replace(bundle.manifest, recipe={"new": True}))

    real = os.replace

    def full_disk(source: Any, target: Any) -> None:
        if str(source).endswith(".partial") and Path(target) == copy:
            raise OSError(28, "No space left on device")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full_disk)
        with pytest.raises(StorageError, match="No space left on device"):
            write()
    _use(copy)
    assert open_bundle(copy).manifest.recipe == bundle.manifest.recipe
    write()
    assert open_bundle(copy).manifest.recipe == {"new": True}
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


def test_other_folders_are_never_replaced(tmp_path: Path) -> None:
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "chapter.txt").write_text("words")
    with pytest.raises(StorageError, match="exists and is not a bundle"), bundle_writer(precious):
        pytest.fail("the writer must refuse first")
    assert (precious / "chapter.txt").read_text() == "words"


def test_specs_say_what_they_hold() -> None:
    w = TensorSpec("w", "float16", (2, 3))
    assert w.size_bytes == 12
    assert TensorSpec("n", "int64", ()).size_bytes == 8
    a = TensorSpec("a", "float32", (1,))
    block = BlockSpec("block0", a, a, a, (w,), ("lr",), ("loss",), ("w",))
    assert block.graphs == ("forward", "step")
    assert dataclasses.replace(block, beta=a).graphs == ("forward", "feedback", "step")
    assert block.state_bytes == 12
    assert EdgeSpec("host", "block0", ("x",)).lag == 0
