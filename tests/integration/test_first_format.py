"""Bundles and run folders of the first format, written before edgebll had its rooms, load, go on and are evaluated as then.

tests/data/first_format holds a training run, the bundle exported from it, a simulated run of that with its snapshots, and the
run.json of a run on boards; pictures are left out, and paths are made relative.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.pipelines import invoke, summary

import edgebll
from edgebll.kernel.errors import BundleError
from edgebll.kernel.spec.lr_schedule import Schedule
from edgebll_firmware_host.run.recorded_run import read_recorded
from edgebll_firmware_host.run.run_spec import ClusterSpec, SimulateSpec, schedule_of

OLD = Path(__file__).parents[1] / "data" / "first_format"
THEN = json.loads((OLD / "simulated" / "summary.json").read_text())


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that may be written to, and the working directory, to which its paths are relative."""
    shutil.copytree(OLD, tmp_path / "old")
    monkeypatch.chdir(tmp_path / "old")
    return tmp_path / "old"


def test_a_spec_is_read_from_a_run_json_of_the_first_version(old: Path) -> None:
    recorded = read_recorded(old / "simulated")
    assert recorded.spec == SimulateSpec(
        bundle="bundle",
        data="digits",
        epochs=2,
        lr=0.04,
        schedule="cosine",
        warmup_steps=2,
        limit=160,
        augment="none",
        window=8,
        snapshot_every=7,
        keep_snapshots=10,
        boards=0,
    )
    assert schedule_of(recorded.spec, edgebll.open_bundle(old / "bundle")) == Schedule(0.04, "cosine", 2)
    (old / "boards").mkdir()
    shutil.copy(old / "on_boards.json", old / "boards" / "run.json")
    on_boards = read_recorded(old / "boards").spec
    assert isinstance(on_boards, ClusterSpec)
    assert (on_boards.cluster, on_boards.window, on_boards.lr) == ("cluster.toml", 8, 0.05)


@pytest.mark.parametrize(("boards", "step"), [(0, 7), (0, 14), (2, 14), (2, None)])
def test_an_unfinished_run_goes_on_to_the_same_bits(old: Path, boards: int, step: int | None) -> None:
    run = old / "simulated"
    (run / "summary.json").unlink()
    shutil.rmtree(run / "bundle")
    for snapshot in (run / "snapshots").iterdir():
        if snapshot.name != f"step{step or 0:09d}":
            shutil.rmtree(snapshot)
    config = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**config, "boards": boards}))
    invoke("simulate", "--resume", run)
    assert {name: summary(run)[name] for name in ("state_sha256", "steps", "accuracy", "loss")} == {
        name: THEN[name] for name in ("state_sha256", "steps", "accuracy", "loss")
    }


def test_whole_runs_and_bundles_are_evaluated_as_then(old: Path) -> None:
    simulated = edgebll.evaluate(old / "simulated")
    assert simulated.state_sha256 == THEN["state_sha256"]
    assert (simulated.accuracy, simulated.loss) == pytest.approx((THEN["accuracy"], THEN["loss"]), rel=1e-6)
    then = json.loads((OLD / "trained" / "summary.json").read_text())
    trained = edgebll.evaluate(old / "trained")
    assert (trained.state_sha256, trained.accuracy) == (then["state_sha256"], then["accuracy"])
    assert edgebll.verify(old / "bundle", steps=1).steps == 1
    assert edgebll.simulate(old / "bundle", old / "again", data="digits", limit=32, boards=0).summary["steps"] == 2


def test_a_run_json_of_a_later_release_is_refused(old: Path) -> None:
    run = old / "simulated"
    config = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**config, "run_version": 3}))
    with pytest.raises(BundleError, match="has version 3, this edgebll reads 2; use the release that wrote it"):
        edgebll.simulate(resume=run)
    with pytest.raises(BundleError, match="is no run of `edgebll simulate` or `run`, but of 'train'"):
        edgebll.simulate(resume=old / "trained")
