"""Spikes from the first command to boards: trained, stopped, resumed, exported, run on two boards, evaluated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.command_calls import call

import edgebll
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.runs.run_folder import read_config

TINY: dict[str, Any] = {
    "data": "events-digits",
    "data_option": {"time_steps": 4, "noise": 1},
    "network": "mlp",
    "network_option": {"width": 8, "depth": 2},
    "blocks": 2,
    "batch_size": 16,
    "epochs": 1,
    "limit": 64,
}


class _Stopped(Exception):  # noqa: N818  (nothing is wrong: a user stops a run)
    """The run is stopped here."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_run_on_events_is_one_run_wherever_it_goes(tmp_path: Path) -> None:
    trained = edgebll.train(tmp_path / "trained", **TINY)
    options = read_config(trained.path)["data_options"]
    assert (options["encode"], options["time_steps"], options["noise"]) == ("camera", 4, 1.0)
    bundle = edgebll.export(trained, tmp_path / "bundle", state="initial")
    assert bundle.manifest.recipe["data_options"] == options
    boards = edgebll.simulate(bundle, tmp_path / "boards", boards=2, limit=64)
    alone = edgebll.simulate(bundle, tmp_path / "alone", boards=0, limit=64)
    assert boards.state_sha256 == alone.state_sha256
    assert edgebll.evaluate(boards).accuracy == boards.accuracy
    assert edgebll.evaluate(trained).accuracy == trained.accuracy
    other = edgebll.evaluate(trained, data="events-digits", data_option={"spike_seed": 5})
    assert other.summary["count"] == 360
    assert other.summary["loss"] != edgebll.evaluate(trained).summary["loss"]


def test_a_stopped_run_goes_on_without_what_was_kept(tmp_path: Path) -> None:
    def stop(event: Any) -> None:
        if event.kind == "step" and event.step == 2:
            raise _Stopped

    options = {**TINY, "checkpoint_steps": 1}
    whole = edgebll.train(tmp_path / "whole", **options)
    with pytest.raises(_Stopped):
        edgebll.train(tmp_path / "stopped", **options, progress=stop)
    for file in (tmp_path / "cache").rglob("*.npy"):
        file.unlink()
    assert edgebll.train(tmp_path / "stopped", **options, resume=True).state_sha256 == whole.state_sha256
    with pytest.raises(ConfigError, match="started with --data-option"):
        edgebll.train(tmp_path / "whole", data_option={"time_steps": 5}, resume=True)


def test_the_commands_say_what_spikes_they_find(tmp_path: Path) -> None:
    found = json.loads(call("data", "check", "digits", "--data-option", "encode=latency", "--json").stdout)
    assert (found["shape"], found["options"]["time_steps"], found["options"]["high"]) == ([10, 1, 8, 8], 10, 16.0)
    seen = call("data", "check", "events-digits", "--json")
    assert json.loads(seen.stdout)["samples"] == {"train": 1437, "test": 360}
    assert "an event camera looks at 1437 samples of events-digits, once" in seen.stderr
    listed = call("data", "list").stdout
    assert "events-digits" in listed
    assert "events-fashion-mnist" in listed
    refused = call("train", "--data", "events-digits", "--data-option", "shift=99", "--out", tmp_path / "run", code=2)
    assert refused.stderr.splitlines()[-1] == "edgebll: the data option shift must lie in 1..64 pixels, not 99"
    assert not (tmp_path / "run").exists()
