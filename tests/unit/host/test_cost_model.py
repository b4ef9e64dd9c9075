"""Costs by what is known of boards and links: measured before told, told before assumed, and nothing that cannot be meant."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.tiny_bundle import SIDES, make_tiny_bundle

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.board_speeds import speeds_of
from edgebll_firmware_host.inventory import BoardEntry, Cluster, load_cluster
from edgebll_firmware_host.link_entry import LinkEntry
from edgebll_firmware_host.policy.calibration import CALIBRATION, calibration_beside, load_calibration
from edgebll_firmware_host.policy.cost_model import PROFILED, RATED, LinkCost
from edgebll_firmware_host.policy.step_costs import make_cost_model
from edgebll_firmware_host.policy.workload import SideStream, Workload

WORK = Workload(("block0", "block1"), 4, (3.0, 1.0), (100, 200), touched_bytes=(1000, 2000), digest="d")
FLOPS = replace(WORK, flops=(6e9, 3e6), touched_bytes=(1000, 2_000_000_000))
MEASURED = """
date = "2026-12-01T10:00:00+00:00"
[[board]]
name = "a"
step_overhead_s = 0.5
message_s = 0.25
message_s_per_byte = 0.001
idle_watts = 2.0
busy_watts = 5.0
[[rate]]
board = "a"
runtime = "onnxruntime"
precision = "float32"
threads = 2
gflops = 6.0
gigabytes_per_second = 4.0
[[step]]
board = "b"
bundle = "d"
block = "block0"
runtime = "onnxruntime"
threads = 1
seconds = 0.125
spread = 0.5
[[step]]
board = "b"
bundle = "d"
block = "block1"
runtime = "onnxruntime"
threads = 1
seconds = 0.25
[[link]]
sender = "a"
receiver = "b"
latency_s = 0.5
bytes_per_s = 10.0
jitter_s = 0.125
"""


def board(name: str, **more: object) -> BoardEntry:
    return BoardEntry(name, f"tcp://127.0.0.1:{7000 + ord(name)}", **more)  # type: ignore[arg-type]


def seconds(model, name: str) -> list[float]:  # type: ignore[no-untyped-def]
    return [step.seconds for step in model.steps[name]]


def test_boards_of_which_nothing_is_said_are_equal() -> None:
    model = make_cost_model(WORK, [board("a"), board("b")])
    assert model.equal
    assert not model.in_seconds
    assert seconds(model, "a") == [3, 1]
    with pytest.raises(ConfigError, match="nothing says how long a training step takes"):
        model.require_seconds()


def test_a_speed_is_beside_a_board_of_which_nothing_is_said() -> None:
    model = make_cost_model(WORK.timed([0.5, 1.0]), [board("a"), board("b", speed=0.25)])
    assert model.in_seconds
    assert not model.equal
    assert (seconds(model, "a"), seconds(model, "b")) == ([0.5, 1.0], [2.0, 4.0])
    assert model.basis == {"a": "this machine", "b": "this machine"}


def test_profiles_are_rooflines() -> None:
    nano = speeds_of("orin-nano")
    assert nano.gpu is not None
    assert nano.cpu is not None
    gpu = board("a", profile="orin-nano", runtime="tensorrt", power_mode="15W", speed=0.5)
    model = make_cost_model(FLOPS, [gpu, board("b", profile="orin-nano", threads=3), board("c")])
    assert seconds(model, "a") == pytest.approx([6 / (2089 * 0.3 * 0.64 * 0.5), 2 / (102 * 0.64 * 0.5)])
    assert seconds(model, "b") == pytest.approx([6 / (163 * 0.3 * 3 / 6), 2 / 102])
    middle = [sum(pair) / 2 for pair in zip(seconds(model, "a"), seconds(model, "b"), strict=True)]
    assert seconds(model, "c") == pytest.approx(middle)
    assert model.basis == {"a": "profile", "b": "profile", "c": "assumed"}
    assert (model.power["a"].idle_w, model.power["a"].dynamic_w, model.power["a"].measured) == (4, 11, False)
    assert "c" not in model.power
    assert model.memory_bytes == {"a": 6 << 30, "b": 6 << 30}


def test_without_arithmetic_profiles_are_ratios() -> None:
    model = make_cost_model(WORK, [board("a", profile="raspberry-pi-5"), board("b", profile="raspberry-pi-4")])
    assert not model.in_seconds
    ratios = [b / a for a, b in zip(seconds(model, "a"), seconds(model, "b"), strict=True)]
    assert ratios == pytest.approx([70.4 / 23.8] * 2)


def test_what_was_measured_counts_first(tmp_path: Path) -> None:
    (tmp_path / CALIBRATION).write_text(MEASURED)
    calibration = calibration_beside(tmp_path / "cluster.toml")
    boards = [board("a", profile="orin-nano"), board("b", profile="orin-nano"), board("c", profile="orin-nano")]
    links = [LinkEntry(("a", "b"), "8bit"), LinkEntry(("a", "c"), "80bit", "1s"), LinkEntry(("c", "*"), "800bit", "2s")]
    model = make_cost_model(FLOPS, boards, links, calibration)
    assert seconds(model, "a") == pytest.approx([6 / 3 + 0.5, 2 / 4 + 0.5])  # one of its two threads
    assert model.step("b", "block0") == (0.125, 0.5)
    assert list(model.basis.values()) == ["calibrated rates", "calibration", "profile"]
    assert model.carry_seconds("a", "b", 20) == 2.5
    assert model.carry_seconds("b", "a", 20) == 20  # by the inventory
    assert model.carry_seconds("c", "a", 20) == 3
    assert model.carry_seconds("c", "b", 200) == 4
    assert model.carry_seconds("a", "a", 20) == 0
    assert model.carry_seconds("host", "a", 20) == 0
    assert model.message_seconds("a", 100) == pytest.approx(0.35)
    assert model.message_seconds("b", 100) == 0
    assert (model.power["a"].idle_w, model.power["a"].dynamic_w, model.power["a"].measured) == (2, 3, True)
    other = make_cost_model(replace(WORK, digest="another"), boards, links, calibration)
    assert other.basis["b"] != "calibration"
    assert calibration_beside(tmp_path / "elsewhere" / "cluster.toml") is None


def test_a_calibration_counts_in_its_power_mode_alone(tmp_path: Path) -> None:
    (tmp_path / CALIBRATION).write_text(MEASURED.replace('name = "a"\n', 'name = "a"\npower_mode = "15W"\n'))
    measured = load_calibration(tmp_path / CALIBRATION)
    same, other = board("a", profile="orin-nano", power_mode="15W"), board("a", profile="orin-nano", power_mode="7W")
    there, elsewhere = (make_cost_model(FLOPS, [one], calibration=measured) for one in (same, other))
    assert (there.basis["a"], elsewhere.basis["a"]) == (RATED, PROFILED)
    assert (there.power["a"].measured, elsewhere.power["a"].measured) == (True, False)


def test_links_one_after_another() -> None:
    through = LinkCost.through([LinkCost(1.0, 10.0, 3.0, 0.5), LinkCost(2.0, 5.0, 4.0, 0.5)])
    assert through == LinkCost(3.0, 5.0, 5.0, 0.75)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("seconds = 0.125", "seconds = 0", "calibration of block0 on b: seconds must be above 0 and finite, not 0"),
        ("seconds = 0.125", "seconds = nan", "seconds must be above 0 and finite, not nan"),
        (
            'block = "block1"',
            'block = "block0"',
            r"two \[\[step\]\] of b, d, block0, onnxruntime, 1; remove the file and calibrate again",
        ),
        ("busy_watts = 5.0\n", "", "needs both idle_watts and busy_watts"),
        ("busy_watts = 5.0", "busy_watts = 1.0", "idle_watts must be at least 0 and at most busy_watts"),
        ("gflops = 6.0\n", "", "field 'gflops' is missing"),
        ("jitter_s = 0.125", "loss = 1.0", "loss must be below 1"),
        ('date = "2026', 'day = "2026', "unknown field 'day'"),
    ],
)
def test_wrong_calibrations_are_refused(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in MEASURED
    (tmp_path / CALIBRATION).write_text(MEASURED.replace(old, new, 1))
    with pytest.raises(ConfigError, match=sentence) as caught:
        load_calibration(tmp_path / CALIBRATION)
    assert "\n" not in str(caught.value)


def test_calibrations_of_other_boards_are_refused(tmp_path: Path) -> None:
    (tmp_path / CALIBRATION).write_text(MEASURED)
    calibration = load_calibration(tmp_path / CALIBRATION)
    calibration.check_boards(("a", "b", "c"))
    with pytest.raises(ConfigError, match=r"tells of the board 'b', but the inventory has a, c"):
        calibration.check_boards(("a", "c"))


INVENTORY = """
[[board]]
name = "a"
endpoint = "tcp://127.0.0.1:7101"
profile = "orin-nano"
power_mode = "25W"
[[board]]
name = "b"
endpoint = "tcp://127.0.0.1:7102"
speed = 0.2
[[link]]
between = ["a", "b"]
bandwidth = "5Mbit"
latency = "20ms"
[[link]]
between = ["b", "*"]
latency = "1ms"
"""


def load(tmp_path: Path, text: str) -> Cluster:
    (tmp_path / "cluster.toml").write_text(text)
    return load_cluster(tmp_path / "cluster.toml")


def test_an_inventory_tells_of_speeds_and_links(tmp_path: Path) -> None:
    cluster = load(tmp_path, INVENTORY)
    assert (cluster.boards[0].profile, cluster.boards[0].power_mode, cluster.boards[1].speed) == ("orin-nano", "25W", 0.2)
    assert (cluster.links[0].bytes_per_s, cluster.links[0].latency_s) == (625e3, 0.02)
    assert cluster.with_window(3).links == cluster.links


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"orin-nano"', '"orin-nanoo"', "board a: there is no board profile 'orin-nanoo'; did you mean orin-nano"),
        ('"25W"', '"26W"', "board a: profile orin-nano has no power mode '26W'"),
        ('profile = "orin-nano"', 'profile = "raspberry-pi-5"\nruntime = "tensorrt"', "has no number for its GPU"),
        ('profile = "orin-nano"\n', "", "power_mode = '25W' is of a profile; give profile too"),
        ("speed = 0.2", "speed = 0", "board b: speed must be above 0"),
        ('["b", "*"]', '["b", "a"]', "the link between b and a is told of twice"),
        ('["b", "*"]', '["b", "d"]', "there is no board 'd'; there are a, b"),
        ('["b", "*"]', '["b", "b"]', "is between two machines"),
        ('["b", "*"]', '["*", "b"]', "the first end"),
        ('"5Mbit"', '"5"', "the link between a and b: bandwidth must be a speed such as 5Mbit"),
        ('"20ms"', '"20"', "the link between a and b: latency must be a time such as 20ms"),
    ],
)
def test_wrong_entries_are_refused_with_one_sentence(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in INVENTORY
    with pytest.raises(ConfigError, match=sentence) as caught:
        load(tmp_path, INVENTORY.replace(old, new, 1))
    assert "\n" not in str(caught.value)


def test_what_a_bundle_asks(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "tiny", blocks=4, sides=SIDES)
    work = Workload.of(bundle, 3, [1.0, 2.0, 3.0, 4.0])
    assert (work.window, work.batch_size, work.seconds) == (3, 4, (1.0, 2.0, 3.0, 4.0))
    assert work.chain_bytes == ((4 * 6 + 4 * 3) * 4,) * 4  # x and y
    assert work.sides == (SideStream(0, 2, (6 + 4 * 6) * 4, 0), SideStream(2, 1, 6 * 4, 1), SideStream(3, 0, 6 * 4, 2))
