"""`edgebll plan`: what it predicts of unequal boards, what else there could be, and what cannot be meant."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from support.tiny_bundle import make_tiny_bundle
from typer.testing import CliRunner

from edgebll.cli.app import app

#: Two boards that are not there, calibrated: the first takes 10 ms a block, the second 20 ms; 4 W idle, 10 W busy.
STEP_S = (0.01, 0.02)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_tiny_bundle(tmp_path / "tiny", blocks=4).path


@pytest.fixture
def cluster(bundle: Path, tmp_path: Path) -> Path:
    from edgebll.kernel.bundle import open_bundle

    digest, boards, measured = open_bundle(bundle).manifest_sha256, "[host]\ndeadline_s = 1.0\n", 'date = "today"\n'
    for number, seconds in enumerate(STEP_S):
        name = f"b{number}"
        boards += f'[[board]]\nname = "{name}"\nendpoint = "tcp://127.0.0.1:{number + 1}"\nprofile = "orin-nano"\n'
        measured += f'[[board]]\nname = "{name}"\nidle_watts = 4.0\nbusy_watts = 10.0\n'
        for block in range(4):
            measured += f'[[step]]\nboard = "{name}"\nbundle = "{digest}"\nblock = "block{block}"\n'
            measured += f'runtime = "onnxruntime"\nthreads = 1\nseconds = {seconds}\n'
    (tmp_path / "calibration.toml").write_text(measured)
    (tmp_path / "cluster.toml").write_text(boards)
    return tmp_path / "cluster.toml"


def plan(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["plan", *map(str, arguments)], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.stdout


def document(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(plan(*arguments, "--json"))
    return found


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["plan", *map(str, arguments)])
    assert result.exit_code == 2
    return " ".join(result.stderr.split())


def test_a_prediction_is_that_of_the_formula(bundle: Path, cluster: Path) -> None:
    found = document(bundle, "--cluster", cluster)
    blocks = {row["board"]: row["blocks"] for row in found["placement"]}
    assert sorted(map(len, blocks.values())) == [1, 3]
    assert len(blocks["b0"]) == 3
    assert found["samples_per_second"] == pytest.approx(4 / 0.03)  # a batch of four in three blocks of 10 ms
    assert found["busy"] == pytest.approx({"b0": 1.0, "b1": 0.02 / 0.03})
    assert found["joules_per_sample_estimated"] == pytest.approx((2 * 4 * 0.03 + 6 * (0.03 + 0.02)) / 4)
    assert (found["limited_by"], found["gap"]) == ("board b0", 0.0)
    assert found["basis"] == {"b0": "calibration", "b1": "calibration"}
    assert found["next_best"]["samples_per_second"] <= found["samples_per_second"]
    assert [row["memory_free_bytes"] for row in found["placement"]] == [6 << 30] * 2
    told = plan(bundle, "--cluster", cluster)
    assert "at most 133 samples/s, about 0.135 J a sample (estimated); board b0 limits it (by calibration)" in told
    assert "the next best placement is" in told


def test_energy_may_choose_otherwise(bundle: Path, cluster: Path) -> None:
    (thrifty,) = [row for row in document(bundle, "--cluster", cluster, "--objective", "energy")["placement"] if row["blocks"]]
    assert (thrifty["board"], len(thrifty["blocks"])) == ("b0", 4)  # 0.4 J a step, with both boards 0.54


def test_what_if_and_as_it_is(bundle: Path, cluster: Path) -> None:
    without = document(bundle, "--cluster", cluster, "--what-if", "b0=off")
    assert [row["board"] for row in without["placement"]] == ["b1"]
    assert without["samples_per_second"] == pytest.approx(4 / 0.08)
    assert without["as_boards_are"]["samples_per_second"] == pytest.approx(4 / 0.03)
    more = document(bundle, "--cluster", cluster, "--what-if", "+orin-nano:2")
    assert [row["board"] for row in more["placement"]] == ["b0", "b1", "orin-nano-1", "orin-nano-2"]
    assert more["basis"]["orin-nano-1"] == "profile"
    gpu, cpu = 2089 * 0.3, 163 * 0.3 / 6  # of the profile; the calibrated boards take 15 ms on the middle, on one core
    assert more["samples_per_second"] == pytest.approx(4 / (2 * 0.015 * cpu / gpu))
    assert "as the boards are: at most 133 samples/s" in plan(bundle, "--cluster", cluster, "--what-if", "b0=off")


def test_a_slow_link_limits(bundle: Path, cluster: Path) -> None:
    found = document(bundle, "--cluster", cluster, "--link", "1kbit/20ms")
    assert found["limited_by"].startswith("the link from host to b")
    assert found["samples_per_second"] == pytest.approx(4 / (4 * (6 + 3) * 4 * 8 / 1000))  # x and y of four samples, float32


def test_idle_boards_are_one_line_and_nothing_is_predicted_from_nothing(bundle: Path) -> None:
    told = plan(bundle, "--boards", 100)
    assert told.count("board5\n") == told.count("board50") == 0
    assert "idle: board4 to board99, 96 boards" in told
    assert "nothing says how long steps take" in told
    assert "samples_per_second" not in document(bundle, "--boards", 2)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--what-if", "b9=off"), "there is no board 'b9', only b0, b1"),
        (("--what-if", "more"), "--what-if must be such as +orin-nano:2"),
        (("--what-if", "+orin-nanu"), "there is no board profile 'orin-nanu'; did you mean orin-nano"),
        (("--what-if", "b0=99W"), "profile orin-nano has no power mode '99W'"),
        (("--what-if", "b0=off", "--what-if", "b1=off"), "--what-if leaves no board"),
        (("--power-mode", "99W"), "no board has a profile with the power mode '99W'"),
        (("--link", "fast"), "--link must be a speed such as 5Mbit"),
        (("--boards", "3"), "--boards is for equal boards without an inventory"),
        (("--objective", "speed"), "the objective must be one of throughput, energy, makespan"),
    ],
)
def test_what_cannot_be_meant_is_refused(bundle: Path, cluster: Path, arguments: tuple[str, ...], sentence: str) -> None:
    assert sentence in refused(bundle, "--cluster", cluster, *arguments)


def test_many_blocks_on_many_boards_are_planned_soon(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "many", blocks=32).path
    boards = "[host]\nwindow = 32\ndeadline_s = 1.0\n"
    for number in range(16):
        boards += f'[[board]]\nname = "b{number}"\nendpoint = "tcp://127.0.0.1:{number + 1}"\nspeed = {1 + number / 7}\n'
    (tmp_path / "cluster.toml").write_text(boards)
    plan(tmp_path / "many", "--boards", 2)  # loads what is needed
    started_s = time.process_time()
    told = plan(bundle, "--cluster", tmp_path / "cluster.toml")
    assert time.process_time() - started_s < 2
    assert "limits it" in told
