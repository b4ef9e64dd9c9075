"""The raster of a run's blocks: there for spiking networks, of what the blocks really send, and never in the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgebll
from edgebll.data import load_data
from edgebll.kernel.errors import MissingExtraError
from edgebll.kernel.plots.block_spikes import draw_block_spikes
from edgebll.learning.training import spike_picture, training_loop
from edgebll.learning.training.trained_run import load_run

TINY: dict[str, Any] = {
    "data": "digits",
    "data_option": {"encode": "rate", "time_steps": 4},
    "network": "spiking-mlp",
    "network_option": {"width": 12},
    "blocks": 3,
    "batch_size": 32,
    "epochs": 1,
    "limit": 64,
}


def test_it_shows_samples_and_all_blocks_but_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, Any] = {}

    def kept(run: Path, spikes: Any, titles: Any) -> Path:
        drawn.update(spikes=spikes, titles=titles)
        return draw_block_spikes(run, spikes, titles)

    monkeypatch.setattr(spike_picture, "draw_block_spikes", kept)
    result = edgebll.train(tmp_path / "run", **TINY)
    assert (result.path / "spikes.png").read_bytes().startswith(b"\x89PNG")
    run = load_run(result.path)
    test = load_data("digits", options=run.data_options).test
    x = test.inputs(np.arange(4))
    assert np.array_equal(drawn["spikes"]["x"], x)
    assert drawn["titles"] == [str(label) for label in test.labels[:4]]
    assert list(drawn["spikes"]) == ["x", "block0", "block1"]
    states, a = run.states(), torch.from_numpy(x)
    for step in run.steps[:-1]:
        a = step.forward(states[step.name], a, {})
        assert np.array_equal(drawn["spikes"][step.name], a.numpy())
        assert a.shape[:2] == (4, 4)


def test_a_run_without_spikes_or_without_matplotlib_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = edgebll.train(tmp_path / "plain", **{**TINY, "network": "mlp"})
    assert not (plain.path / "spikes.png").exists()

    def refuse(*_: Any) -> None:
        raise MissingExtraError("drawing needs matplotlib")

    monkeypatch.setattr(training_loop, "draw_spikes_of_run", refuse)
    told: list[Any] = []
    spiking = edgebll.train(tmp_path / "spiking", **TINY, progress=told.append)
    assert spiking.accuracy is not None
    assert any("no spikes.png: drawing needs matplotlib" in str(event) for event in told)
