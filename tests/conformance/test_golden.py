"""Every runtime gives what PyTorch gave at export."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.slow import slow_after

from edgebll.kernel.bundle import Bundle, bundle_writer, open_bundle, write_manifest, write_updated
from edgebll.kernel.errors import BundleError
from edgebll.kernel.state.block_state import save_tensors
from edgebll_devices.runtimes import BlockRuntime, load_block
from edgebll_devices.runtimes.golden_replay import failures, replay


@pytest.mark.parametrize("name", slow_after(4, ["mlp", "resnet", "tokens", "inputs", "mixed", "scanned", "forms", "frozen"]))
def test_replays_golden_vectors(runtime: str, bundles: dict[str, Bundle], name: str) -> None:
    bundle = bundles[name]
    for block in bundle.manifest.blocks:
        rows = replay(bundle, block.name, runtime)
        tensors = {row.tensor for row in rows}
        assert {
            f"{after}/{tensor.name}" for tensor in block.state for after in ("0/next", "1/next", "final", "again")
        } < tensors
        assert {f"{bundle.manifest.golden_steps - 1}/a", "forward/a"} < tensors
        assert ("0/metrics" in tensors) == bool(block.metrics)
        assert ("feedback/beta" in tensors) == (block.beta is not None)
        assert failures(rows) == []
        assert not any(row.by_rounding for row in rows if row.tensor.endswith(("/a", "/metrics", "/beta")))
        # These networks are small enough to stay clear of a ReLU's kink.
        assert all(row.max_rel_error <= 1e-4 for row in rows if not row.by_rounding)


def test_replay_finds_a_wrong_result(runtime: str, bundles: dict[str, Bundle], tmp_path: Path) -> None:
    bundle = bundles["mlp"]
    golden = {name: np.array(value) for name, value in bundle.golden("block0").items()}
    golden["1/a"] *= 1.1
    golden["forward/a"][0, 0] = np.nan
    found = failures(replay(_with_golden(bundle, golden, tmp_path / "wrong"), "block0", runtime))
    assert [row.tensor for row in found] == ["forward/a", "1/a"]
    assert found[1].max_rel_error == pytest.approx(0.1 / 1.1, rel=1e-3)


def test_replay_finds_a_runtime_that_goes_on_from_another_state(
    runtime: str, bundles: dict[str, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    with load_block(runtime, bundles["mlp"], "block0") as block:
        kind, load = type(block), type(block).load_state

    def off(self: BlockRuntime, state: dict[str, np.ndarray]) -> None:
        load(self, {n: v * np.float32(1 + 1e-6) if n.startswith("momentum.") else v for n, v in state.items()})

    monkeypatch.setattr(kind, "load_state", off)
    failed = {row.tensor for row in failures(replay(bundles["mlp"], "block0", runtime))}
    assert failed
    assert all(tensor.startswith("again/") for tensor in failed)


def test_bundles_of_early_versions_are_replayed_from_their_first_state(
    runtime: str, bundles: dict[str, Bundle], tmp_path: Path
) -> None:
    """They hold neither the states in between nor what rounding may do, and only gross errors show."""
    bundle = bundles["resnet"]
    golden = {n: np.array(v) for n, v in bundle.golden("block0").items() if "/next/" not in n and not n.startswith("rounding/")}
    early = _with_golden(bundle, golden, tmp_path / "early")
    rows = replay(early, "block0", runtime)
    assert failures(rows) == []
    assert {row.tensor for row in rows} == {"0/a", "0/metrics", "1/a", "1/metrics", "2/a", "2/metrics", "forward/a"} | {
        f"final/{tensor.name}" for tensor in bundle.manifest.block("block0").state
    }
    golden["final/net.0.0.weight"] *= 1.1
    wrong = _with_golden(bundle, golden, tmp_path / "wrong")
    assert {row.tensor for row in failures(replay(wrong, "block0", runtime))} == {"final/net.0.0.weight", "forward/a"}


def _with_golden(bundle: Bundle, golden: dict[str, np.ndarray], path: Path) -> Bundle:
    """A bundle with other golden vectors of block0."""
    with bundle_writer(path) as folder:
        shutil.copytree(bundle.path, folder, dirs_exist_ok=True)
        save_tensors(folder / "block0" / "golden.safetensors", golden)
        write_manifest(folder, bundle.manifest)
    return open_bundle(path)


def test_bundle_without_golden_vectors_is_refused(bundles: dict[str, Bundle], tmp_path: Path) -> None:
    bundle = bundles["mlp"]
    states = {block.name: bundle.state(block.name) for block in bundle.manifest.blocks}
    write_updated(bundle, states, tmp_path / "updated", {})
    with pytest.raises(BundleError, match="no golden vectors"):
        replay(open_bundle(tmp_path / "updated"), "block0", "reference")


def test_incomplete_golden_vectors_are_refused(bundles: dict[str, Bundle], tmp_path: Path) -> None:
    bundle = bundles["mlp"]
    golden = bundle.golden("block0")
    del golden["1/metrics"]
    with pytest.raises(BundleError, match="1/metrics"):
        replay(_with_golden(bundle, golden, tmp_path / "cut"), "block0", "reference")


@pytest.mark.parametrize("reach", [np.ones(3, np.float32), np.ones(2, np.int32), np.float32(1)])
def test_a_reach_that_is_not_two_numbers_is_refused(bundles: dict[str, Bundle], tmp_path: Path, reach: np.ndarray) -> None:
    golden = bundles["mlp"].golden("block0") | {"rounding/0/a": np.asarray(reach)}
    with pytest.raises(BundleError, match="'rounding/0/a' must be two numbers; export the bundle again"):
        replay(_with_golden(bundles["mlp"], golden, tmp_path / "odd"), "block0", "reference")
