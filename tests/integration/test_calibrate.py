"""`edgebll calibrate` over real agents: times of steps and links in a file that placement reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.command_calls import call, sentence
from support.direct_host import agent_process
from support.pipelines import invoke, write_cluster

from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.execution.step_timing import step_seconds
from edgebll.kernel.state.block_state import state_sha256
from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.policy.calibration import CALIBRATION, Calibration, load_calibration
from edgebll_firmware_host.policy.cost_model import RATED
from edgebll_firmware_host.policy.step_costs import make_cost_model
from edgebll_firmware_host.policy.workload import Workload


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("boards")
    with agent_process(folder / "left", name="left") as left, agent_process(folder / "right", name="right") as right:
        yield write_cluster(folder / "cluster.toml", {"left": left.endpoint, "right": right.endpoint})


@pytest.fixture(scope="module")
def measured(dense_bundle: Path, cluster: Path) -> Calibration:
    before = state_sha256({name: open_bundle(dense_bundle).state(name) for name in ("block0", "block1")})
    told = invoke("calibrate", dense_bundle, "--cluster", cluster, "--steps", 5, "--conditions", 'at "night"')
    assert "block1" in told
    assert state_sha256({name: open_bundle(dense_bundle).state(name) for name in ("block0", "block1")}) == before
    return load_calibration(cluster.with_name(CALIBRATION))


def test_every_block_is_timed_on_every_board(measured: Calibration, dense_bundle: Path) -> None:
    opened = open_bundle(dense_bundle)
    assert [(one.board, one.block) for one in measured.step] == [
        (board, block) for board in ("left", "right") for block in ("block0", "block1")
    ]
    assert {one.bundle for one in measured.step} == {opened.manifest_sha256}
    assert measured.conditions == 'at "night"'
    here = step_seconds(opened)
    for one in measured.step:
        assert one.seconds > 0.2 * here[int(one.block[-1])], "a step takes no less there than in this process"
        assert one.spread >= 0
    assert [one.name for one in measured.board] == ["left", "right"]
    assert all(0 < one.message_s < 0.02 for one in measured.board), "without what a slow host costs"


def test_other_bundles_are_predicted_by_rates(measured: Calibration, dense_bundle: Path) -> None:
    opened = open_bundle(dense_bundle)
    work = Workload.of(opened, 8)
    assert work.flops is not None
    assert [one.board for one in measured.rate] == ["left", "right"]
    other = replace(work, digest="of another bundle")
    entries = [BoardEntry(name, f"tcp://127.0.0.1:{7101 + index}") for index, name in enumerate(("left", "right"))]
    costs = make_cost_model(other, entries, calibration=measured)
    for name in ("left", "right"):
        there = sum(one.seconds for one in measured.step if one.board == name)
        assert costs.basis[name] == RATED
        assert 0.3 * there < sum(step.seconds for step in costs.steps[name]) < 3 * there


def test_every_link_is_timed_one_way(measured: Calibration) -> None:
    pairs = [("host", "left"), ("host", "right"), ("left", "right"), ("right", "left")]
    assert [(one.sender, one.receiver) for one in measured.link] == pairs
    for one in measured.link:
        assert 0 < one.latency_s < 0.1
        assert one.bytes_per_s > 1e6


def test_what_is_not_measured_again_stays(measured: Calibration, dense_bundle: Path, cluster: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(cluster.with_name(CALIBRATION).read_text().replace(measured.step[0].bundle, "f" * 64))
    invoke("calibrate", dense_bundle, "--cluster", cluster, "--steps", 2, "--no-links", "--out", other)
    again = load_calibration(other)
    assert again.link == measured.link
    assert {one.bundle for one in again.step} == {"f" * 64, measured.step[0].bundle}
    assert len(again.step) == 8


def test_a_file_that_cannot_be_read_ends_it_before_anything_is_measured(
    dense_bundle: Path, cluster: Path, tmp_path: Path
) -> None:
    spoilt = tmp_path / "spoilt.toml"
    spoilt.write_text("date = 3")
    said = sentence(call("calibrate", dense_bundle, "--cluster", cluster, "--out", spoilt, code=2))
    assert "spoilt.toml" in said
    assert spoilt.read_text() == "date = 3"


def test_a_board_that_is_not_there_is_named(dense_bundle: Path, tmp_path: Path) -> None:
    cluster = write_cluster(tmp_path / "cluster.toml", {"gone": "tcp://127.0.0.1:9"}, "deadline_s = 1.0")
    said = call("calibrate", dense_bundle, "--cluster", cluster, code=7).stderr.splitlines()
    assert said[0] == "edgebll: timing 2 blocks on board gone"
    assert "gone" in said[1]
    assert not (tmp_path / CALIBRATION).exists()
