"""Every runtime gives what PyTorch gave at export."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from edgebll.kernel.bundle import Bundle, bundle_writer, open_bundle, write_manifest, write_updated
from edgebll.kernel.errors import BundleError
from edgebll.kernel.state.block_state import load_tensors, save_tensors
from edgebll_devices.runtimes.golden_replay import failures, replay

# Tighter than what `failures` allows: these networks are small enough to stay clear of a ReLU's kink.
_TOLERANCE = 1e-4


@pytest.mark.parametrize("name", ["mlp", "resnet", "mixed", "scanned", "tokens"])
def test_replays_golden_vectors(runtime: str, bundles: dict[str, Bundle], name: str) -> None:
    bundle = bundles[name]
    for block in bundle.manifest.blocks:
        rows = replay(bundle, block.name, runtime)
        tensors = {row.tensor for row in rows}
        assert {f"final/{tensor.name}" for tensor in block.state} < tensors
        assert {f"{bundle.manifest.golden_steps - 1}/a", "0/metrics", "forward/a"} < tensors
        assert ("feedback/beta" in tensors) == (block.beta is not None)
        assert max(rows, key=lambda row: row.max_rel_error).max_rel_error < _TOLERANCE


def test_replay_finds_a_wrong_result(runtime: str, bundles: dict[str, Bundle], tmp_path) -> None:
    bundle = bundles["mlp"]
    with bundle_writer(tmp_path / "wrong") as folder:
        shutil.copytree(bundle.path, folder, dirs_exist_ok=True)
        golden = {name: np.array(value) for name, value in bundle.golden("block0").items()}
        golden["1/a"] *= 1.1
        golden["forward/a"][0, 0] = np.nan
        save_tensors(folder / "block0" / "golden.safetensors", golden)
        write_manifest(folder, bundle.manifest)
    found = failures(replay(open_bundle(tmp_path / "wrong"), "block0", runtime))
    assert [row.tensor for row in found] == ["forward/a", "1/a"]
    assert found[1].max_rel_error == pytest.approx(0.1 / 1.1, rel=1e-3)


def test_bundle_without_golden_vectors_is_refused(bundles: dict[str, Bundle], tmp_path) -> None:
    bundle = bundles["mlp"]
    states = {block.name: bundle.state(block.name) for block in bundle.manifest.blocks}
    write_updated(bundle, states, tmp_path / "updated", {})
    with pytest.raises(BundleError, match="no golden vectors"):
        replay(open_bundle(tmp_path / "updated"), "block0", "reference")


def test_incomplete_golden_vectors_are_refused(bundles: dict[str, Bundle], tmp_path) -> None:
    bundle = bundles["mlp"]
    with bundle_writer(tmp_path / "cut") as folder:
        shutil.copytree(bundle.path, folder, dirs_exist_ok=True)
        golden = load_tensors(folder / "block0" / "golden.safetensors")
        del golden["1/metrics"]
        save_tensors(folder / "block0" / "golden.safetensors", golden)
        write_manifest(folder, bundle.manifest)
    with pytest.raises(BundleError, match="1/metrics"):
        replay(open_bundle(tmp_path / "cut"), "block0", "reference")
