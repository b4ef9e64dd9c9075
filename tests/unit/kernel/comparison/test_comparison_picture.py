"""The picture of a comparison: what is drawn is the mean and deviation of the runs, at steps that all have."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.seeded_runs import write_group, write_run

import edgebll
from edgebll.kernel.errors import BundleError
from edgebll.kernel.plots.comparison_picture import band, evaluations


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    write_group(tmp_path / "runs", "a", [0.8, 0.82, 0.81])
    write_group(tmp_path / "runs", "b", [0.9, 0.92, 0.91], lr=0.1)
    for runs in ([tmp_path / "runs"], [tmp_path / "runs" / "a-0"]):
        picture = tmp_path / "out.png"
        edgebll.compare(runs, picture=picture)
        assert picture.read_bytes().startswith(b"\x89PNG\r\n")
        assert picture.stat().st_size > 10_000
        picture.unlink()


def test_bands_are_means_and_deviations_at_shared_steps(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "a", 0, [0.1, 0.2, 0.6]), write_run(tmp_path / "b", 1, [0.3, 0.4])]
    curves = [evaluations(run / "metrics.jsonl", "accuracy") for run in runs]
    assert curves == [{10: 0.1, 20: 0.2, 30: 0.6}, {10: 0.3, 20: 0.4}]
    assert band(curves) == [
        (10, pytest.approx(0.2), pytest.approx(0.02**0.5)),
        (20, pytest.approx(0.3), pytest.approx(0.02**0.5)),
    ]
    assert band(curves[:1])[2] == (30, 0.6, 0.0)
    assert evaluations(runs[0] / "metrics.jsonl", "seconds") == {}


def test_a_damaged_record_is_told(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", 0, [0.1])
    (run / "metrics.jsonl").write_text("no json\n")
    with pytest.raises(BundleError, match=r"metrics\.jsonl is not a record of metrics"):
        edgebll.compare([run], picture=tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()
