"""A run over unequal boards begins with those that serve it best, by what inventory and calibration say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from support.board_runs import Silent
from support.tiny_bundle import make_tiny_bundle

from edgebll.kernel.runs.run_folder import RunFolder
from edgebll_firmware_host.engines.local_processes import RunningAgents
from edgebll_firmware_host.inventory import BoardEntry, Cluster, load_cluster
from edgebll_firmware_host.run import cluster_run
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.run_context import RunContext
from edgebll_firmware_host.run.run_request import RunRequest
from edgebll_firmware_host.run.snapshot_writer import SnapshotWriter


def first(cluster: Cluster, folder: Path, weights: Sequence[float] = (1.0, 1.0)) -> list[str]:
    """Names of the boards that a run of two blocks begins with."""
    bundle = make_tiny_bundle(folder / "tiny", blocks=2)
    request = RunRequest(bundle, "run", lambda _: iter(()), list(weights))
    with RunFolder.create(folder / "run", {}) as opened:
        recorder = Recorder(opened, Silent(), ("block0", "block1"), 4, 5, 4)
        with SnapshotWriter(bundle, recorder, 2) as snapshots:
            context = RunContext.of(request, recorder, snapshots, cluster)
            begun = cluster_run._Run(context, RunningAgents(cluster), cluster)
            return [board.name for board in begun._first_boards()]


def boards(*speeds: float) -> tuple[BoardEntry, ...]:
    return tuple(BoardEntry(f"b{i}", f"tcp://127.0.0.1:{i + 1}", speed=speed) for i, speed in enumerate(speeds))


def test_fast_boards_are_taken_and_equal_ones_in_order(tmp_path: Path) -> None:
    assert first(Cluster(boards(0.2, 1.0, 0.9)), tmp_path / "unequal") == ["b1", "b2"]
    assert first(Cluster(boards(1.0, 1.0, 1.0)), tmp_path / "equal") == ["b0", "b1"]


def test_a_calibration_beside_the_inventory_counts(tmp_path: Path) -> None:
    digest = make_tiny_bundle(tmp_path / "tiny0", blocks=2).manifest_sha256
    inventory, measured = "", 'date = "today"\n'
    for number, seconds in enumerate((0.5, 0.1, 0.1)):
        inventory += f'[[board]]\nname = "b{number}"\nendpoint = "tcp://127.0.0.1:{number + 1}"\n'
        for block in ("block0", "block1"):
            measured += f'[[step]]\nboard = "b{number}"\nbundle = "{digest}"\nblock = "{block}"\n'
            measured += f'runtime = "onnxruntime"\nthreads = 1\nseconds = {seconds}\n'
    (tmp_path / "cluster.toml").write_text(inventory)
    assert first(load_cluster(tmp_path / "cluster.toml"), tmp_path / "a") == ["b0", "b1"]
    (tmp_path / "calibration.toml").write_text(measured)
    assert first(load_cluster(tmp_path / "cluster.toml"), tmp_path / "b") == ["b1", "b2"]
