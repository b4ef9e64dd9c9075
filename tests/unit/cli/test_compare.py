"""`edgebll compare`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from support.seeded_runs import write_group
from typer.testing import CliRunner, Result

from edgebll.cli.app import app


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    write_group(tmp_path, "a", [0.80, 0.82, 0.81])
    write_group(tmp_path, "b", [0.90, 0.92, 0.915], lr=0.1)
    (write_group(tmp_path, "c", [0.5], lr=0.3)[0] / "summary.json").unlink()
    return tmp_path


def call(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["compare", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def test_the_table_says_what_differs_by_how_much_and_by_which_rule(runs: Path) -> None:
    result = call(runs)
    words = [line.split() for line in result.stdout.splitlines()]
    assert ["lr", "n", "accuracy", "%", "difference", "interval", "verdict"] in words
    assert ["0.05", "3", "81.00", "±", "1.00", "reference"] in words
    (line,) = [line for line in words if line[:1] == ["0.1"]]
    assert line[1:8] == ["3", "91.17", "±", "1.04", "+10.17", "(3", "seeds)"]
    assert line[-1] == "higher"
    assert "A difference is called higher or lower where its 95 % t interval leaves out zero" in result.stdout
    assert f"{runs / 'c-0'} is left out: it is not whole" in result.stderr


def test_csv_and_json_hold_the_same_numbers(runs: Path) -> None:
    rows = list(csv.DictReader(call(runs, "--csv").stdout.splitlines()))
    document = json.loads(call(runs, "--json").stdout)
    assert [row["verdict"] for row in rows] == ["reference", "higher"]
    assert [float(row["mean"]) for row in rows] == [group["mean"] for group in document["groups"]]
    assert float(rows[1]["interval low"]) == document["differences"][0]["low"]
    assert document["groups"][0]["runs"][1] == {"path": str(runs / "a-1"), "seed": 1, "accuracy": 0.82}
    assert (document["options"], document["left_out"]) == (["lr"], [str(runs / "c-0")])
    assert "--csv and --json exclude each other" in call(runs, "--csv", "--json", code=2).stderr


def test_the_reference_is_chosen_and_a_picture_drawn(runs: Path) -> None:
    picture = runs / "mine.png"
    assert "lower" in call(runs, "--against", runs / "b-1", "--picture", picture).stdout
    assert picture.stat().st_size
    assert "is none of the whole runs" in call(runs, "--against", runs / "c-0", code=2).stderr


def test_what_holds_no_runs_is_refused(tmp_path: Path) -> None:
    assert "is not a run folder and holds none" in call(tmp_path, code=3).stderr
