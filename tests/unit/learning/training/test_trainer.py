"""The trainer: it learns, it is repeatable, and an interrupted run goes on as if nothing had happened."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from edgebll.kernel.errors import BundleError, ConfigError, DataError, StorageError
from edgebll.kernel.runs.run_folder import open_run
from edgebll.learning import BLL, SGD, AdamW
from edgebll.learning.training import Listener, TrainConfig, load_run, resume, train
from edgebll.learning.training.checkpoint import digest

QUICK = TrainConfig(data="digits", network="mlp", blocks=2, epochs=2, batch_size=32, limit=320, checkpoint_steps=4)


STEPS = 20


class StopRunError(Exception):
    """What an interrupting listener raises."""


class StopAt(Listener):
    """Interrupts a run after a step, or in the evaluation after an epoch."""

    def __init__(self, step: int | None = None, epoch: int | None = None) -> None:
        self.step, self.epoch = step, epoch

    def stepped(self, step: int, losses: Sequence[float], samples: int) -> None:
        if step == self.step:
            raise StopRunError

    def evaluated(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        if epoch == self.epoch:
            raise StopRunError


class Recorder(Listener):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def started(self, blocks: Sequence[str], step: int, total_steps: int) -> None:
        self.calls.append(("started", tuple(blocks), step, total_steps))

    def stepped(self, step: int, losses: Sequence[float], samples: int) -> None:
        self.calls.append(("stepped", step, len(losses), samples))

    def evaluated(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        self.calls.append(("evaluated", epoch, step))


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of QUICK without interruption."""
    path = tmp_path_factory.mktemp("undisturbed") / "run"
    train(QUICK, path)
    return path


def test_a_run_leaves_what_it_promises(undisturbed: Path) -> None:
    config, summary = open_run(undisturbed)
    assert config["kind"] == summary["kind"] == "train"
    assert config["rule_options"] == BLL().options()
    assert summary["steps"] == STEPS
    assert summary["samples"] == STEPS * 32
    assert summary["accuracy"] > 0.5
    entries = metrics(undisturbed)
    losses = [e for e in entries if e["kind"] == "train"]
    assert [(e["step"], e["block"]) for e in losses] == [(s, b) for s in range(STEPS) for b in ("block0", "block1")]
    assert losses[0]["loss"] == pytest.approx(losses[0]["loss_match"] + losses[0]["loss_pred"], rel=1e-5)
    assert losses[0]["lr"] == 0.05
    evaluations = [e for e in entries if e["kind"] == "eval"]
    assert [(e["epoch"], e["step"]) for e in evaluations] == [(1, 10), (2, 20)]
    assert evaluations[-1]["accuracy"] == summary["accuracy"]


def test_the_listener_hears_everything_in_order(tmp_path: Path) -> None:
    recorder = Recorder()
    train(replace(QUICK, epochs=1, limit=64), tmp_path / "run", listener=recorder)
    assert recorder.calls == [
        ("started", ("block0", "block1"), 0, 2),
        ("stepped", 1, 2, 32),
        ("stepped", 2, 2, 32),
        ("evaluated", 1, 2),
    ]


def test_the_same_config_gives_the_same_weights(tmp_path: Path, undisturbed: Path) -> None:
    expected = open_run(undisturbed)[1]["state_sha256"]
    assert train(QUICK, tmp_path / "same")["state_sha256"] == expected
    assert train(replace(QUICK, seed=1), tmp_path / "other")["state_sha256"] != expected


@pytest.mark.parametrize(
    "stop", [StopAt(step=2), StopAt(step=5), StopAt(step=10), StopAt(step=13), StopAt(epoch=1), StopAt(epoch=2)]
)
def test_a_resumed_run_equals_an_undisturbed_one(tmp_path: Path, undisturbed: Path, stop: StopAt) -> None:
    with pytest.raises(StopRunError):
        train(QUICK, tmp_path / "run", listener=stop)
    with pytest.raises(BundleError, match="did not finish"):
        open_run(tmp_path / "run")
    summary = resume(tmp_path / "run")
    expected = open_run(undisturbed)[1]
    assert summary["state_sha256"] == expected["state_sha256"]
    assert (summary["accuracy"], summary["loss"]) == (expected["accuracy"], expected["loss"])
    assert metrics(tmp_path / "run") == metrics(undisturbed)


def test_a_residual_network_interrupted_twice_equals_an_undisturbed_one(tmp_path: Path) -> None:
    config = TrainConfig(
        network="resnet8", epochs=2, batch_size=16, limit=96, checkpoint_steps=2, rule_options={"feedback": "ema"}
    )
    expected = train(config, tmp_path / "whole")["state_sha256"]
    with pytest.raises(StopRunError):
        train(config, tmp_path / "run", listener=StopAt(step=3))
    with pytest.raises(StopRunError):
        resume(tmp_path / "run", listener=StopAt(step=9))
    recorder = Recorder()
    assert resume(tmp_path / "run", listener=recorder)["state_sha256"] == expected
    assert recorder.calls[0] == ("started", ("block0", "block1", "block2", "block3"), 8, 12)


def test_adam_resumes_from_its_moments(tmp_path: Path) -> None:
    config = replace(QUICK, optimizer="adamw", optimizer_options={"weight_decay": "0.1", "clip_norm": 1}, limit=96)
    expected = train(config, tmp_path / "whole")
    recorded = open_run(tmp_path / "whole")[0]
    assert (recorded["optimizer"], recorded["lr"]) == ("adamw", 0.001)
    assert recorded["optimizer_options"] == {"weight_decay": 0.1, "clip_norm": 1, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    with pytest.raises(StopRunError):
        train(config, tmp_path / "run", listener=StopAt(step=4))
    assert resume(tmp_path / "run")["state_sha256"] == expected["state_sha256"]
    run = load_run(tmp_path / "run")
    assert run.optimizer == AdamW(lr=0.001, weight_decay=0.1, clip_norm=1)
    weight = float(run.states()["block0"]["moment1"])
    assert weight == pytest.approx(1 - 0.9**6)


def test_runs_from_before_there_were_several_optimizers_open(undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path / "old")
    config = json.loads((tmp_path / "old" / "run.json").read_text())
    options = config.pop("optimizer_options")
    old = {name: options[name] for name in ("momentum", "nesterov", "weight_decay")}
    del config["optimizer"]
    (tmp_path / "old" / "run.json").write_text(json.dumps({**config, "run_version": 1, **old, "momentum": 0.5}))
    run = load_run(tmp_path / "old")
    assert run.optimizer == SGD(momentum=0.5)
    assert run.states()["block0"].keys() == load_run(undisturbed).states()["block0"].keys()


def test_resuming_a_whole_run_changes_nothing(undisturbed: Path) -> None:
    before = (undisturbed / "metrics.jsonl").read_bytes()
    assert resume(undisturbed) == open_run(undisturbed)[1]
    assert (undisturbed / "metrics.jsonl").read_bytes() == before


def test_a_checkpoint_caught_in_mid_swap_is_found(tmp_path: Path, undisturbed: Path) -> None:
    with pytest.raises(StopRunError):
        train(QUICK, tmp_path / "run", listener=StopAt(step=9))
    checkpoint = tmp_path / "run" / "checkpoint"
    shutil.copytree(checkpoint, tmp_path / "run" / "checkpoint.partial")
    (tmp_path / "run" / "checkpoint.partial" / "progress.json").unlink()
    checkpoint.rename(tmp_path / "run" / "checkpoint.old")
    assert resume(tmp_path / "run")["state_sha256"] == open_run(undisturbed)[1]["state_sha256"]
    assert not (tmp_path / "run" / "checkpoint.old").exists()


def test_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StopRunError):
        train(QUICK, tmp_path / "run", listener=StopAt(step=9))
    checkpoint = tmp_path / "run" / "checkpoint"
    block = checkpoint / "block1.safetensors"
    whole = block.read_bytes()
    for damaged, reason in (
        (whole[:-1] + bytes([whole[-1] ^ 1]), "another SHA-256"),
        (whole[:100], "not a whole safetensors file"),
        ((checkpoint / "block0.safetensors").read_bytes(), "must be|is missing|not expected"),
    ):
        block.write_bytes(damaged)
        with pytest.raises(BundleError, match=reason):
            resume(tmp_path / "run")
    block.write_bytes(whole)
    (checkpoint / "progress.json").write_text('{"step": "three"}')
    with pytest.raises(BundleError, match=r"progress\.json"):
        resume(tmp_path / "run")


def test_a_run_opens_again(undisturbed: Path) -> None:
    run = load_run(undisturbed)
    assert (run.batch_size, run.data, run.rule.name, run.schedule.kind) == (32, "digits", "bll", "cosine")
    assert digest(run.states()) == run.summary["state_sha256"]
    for step in run.steps:
        for name, value in step.initial_state().items():
            assert torch.equal(run.states("initial")[step.name][name], value)
    with pytest.raises(ConfigError, match="'trained' or 'initial'"):
        run.states("best")


def test_an_unfinished_or_foreign_run_does_not_open(tmp_path: Path, undisturbed: Path) -> None:
    with pytest.raises(StopRunError):
        train(QUICK, tmp_path / "open", listener=StopAt(step=9))
    with pytest.raises(BundleError, match="did not finish"):
        load_run(tmp_path / "open")
    shutil.copytree(undisturbed, tmp_path / "copy")
    config = json.loads((tmp_path / "copy" / "run.json").read_text())
    for change, reason in (
        ({"kind": "pipeline"}, "not a run of `edgebll train`"),
        ({"run_version": 99}, "version 99"),
        ({"epochs": "two"}, "expected int"),
        ({"epochs": 0}, "at least 1"),
        ({"colour": "red"}, "unknown field 'colour'"),
    ):
        (tmp_path / "copy" / "run.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(BundleError, match=reason):
            load_run(tmp_path / "copy")


def test_a_whole_run_is_not_overwritten_by_mistake(undisturbed: Path) -> None:
    with pytest.raises(StorageError, match="--overwrite"):
        train(QUICK, undisturbed)


def test_another_data_set_does_not_fit(undisturbed: Path) -> None:
    from edgebll.data import load_dataset

    digits = load_dataset("digits", "test")
    wide = replace(digits, name="wide", samples=digits.samples.repeat(2, axis=3))
    with pytest.raises(DataError, match="give the data set it was trained on"):
        load_run(undisturbed).evaluate(wide)
    result = load_run(undisturbed).evaluate(digits)
    assert result.accuracy == open_run(undisturbed)[1]["accuracy"]
    assert result.count == 360
