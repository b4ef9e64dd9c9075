"""summary.json of a spiking network's training has its synaptic operations: those that `edgebll eval --operations` counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import edgebll
from edgebll.kernel.comparison.seeded_run import read_run
from edgebll.learning.training import summary_operations

TINY: dict[str, Any] = {
    "data": "digits",
    "data_option": {"encode": "rate", "time_steps": 3},
    "network": "spiking-mlp",
    "network_option": {"width": 8, "depth": 2, "v_threshold": 0.5},
    "blocks": 2,
    "batch_size": 16,
    "epochs": 1,
    "limit": 32,
}


@pytest.mark.parametrize("more", [{"freeze": ["block0"]}, {"rule": "decolle", "blocks": 1}], ids=str)
def test_they_are_those_of_eval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]) -> None:
    """Of the first test samples, which are enough for a mean."""
    monkeypatch.setattr(summary_operations, "SAMPLES", 50)
    run = edgebll.train(tmp_path / "run", **{**TINY, **more})
    counted = run.summary["operations"]
    assert counted == edgebll.evaluate(run, limit=50, operations=True).summary["operations"]
    assert [block["block"] for block in counted["blocks"]] == [f"block{index}" for index in range(more.get("blocks", 2))]
    assert counted["network"]["effective_acs"] > 0
    figures = read_run(run.path).figures
    assert figures["operations.effective_acs"] == counted["network"]["effective_acs"]
    assert "operations.energy_nj" not in figures


def test_a_run_without_them_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that cannot be counted is a note."""

    def refuse(*_: Any) -> None:
        raise TypeError("cannot count this")

    monkeypatch.setattr(summary_operations, "network_operations", refuse)
    told: list[Any] = []
    run = edgebll.train(tmp_path / "run", **TINY, progress=told.append)
    assert run.accuracy is not None
    assert "operations" not in run.summary
    assert any("no operations in summary.json: TypeError: cannot count this" in str(event) for event in told)


def test_networks_without_time_have_none(tmp_path: Path) -> None:
    plain = {**TINY, "data_option": {}, "network": "mlp", "network_option": {"width": 8, "depth": 2}}
    assert "operations" not in edgebll.train(tmp_path / "plain", **plain).summary
