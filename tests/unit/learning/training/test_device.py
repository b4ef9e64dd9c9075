"""Runs on a device: everything but the GPU itself is tried on the processor; what needs one is skipped with its reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.rules import DENSE

from edgebll.data import load_dataset
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.runs.run_folder import open_run
from edgebll.learning import make_rule
from edgebll.learning.training import Listener, TrainConfig, compiled, load_run, resume, train
from edgebll.learning.training import training_loop as loop
from edgebll.learning.training.checkpoint import digest
from edgebll.learning.training.torch_device import TensorPlacement, pays_channels_last, resolve_device

HAS_GPU = torch.cuda.is_available()


_WITH_ONE = "pytest tests/unit/learning/training/test_device.py"
NEEDS_GPU = pytest.mark.skipif(not HAS_GPU, reason=f"PyTorch sees no GPU; with one: {_WITH_ONE}")


QUICK = TrainConfig(
    network="resnet8", network_options={"width": 4}, blocks=2, epochs=3, batch_size=16, limit=96, checkpoint_steps=4
)


class StopRunError(Exception):
    """What an interrupting listener raises."""


class Watcher(Listener):
    """Keeps what it is told, and may interrupt."""

    def __init__(self, stop: int | None = None) -> None:
        self.stop = stop
        self.steps: list[int] = []
        self.epochs: list[int] = []
        self.said_lines: list[str] = []

    def stepped(self, step: int, losses: Any, samples: int) -> None:
        self.steps.append(step)
        if step == self.stop:
            raise StopRunError

    def said(self, text: str) -> None:
        self.said_lines.append(text)

    def evaluated(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        self.epochs.append(epoch)


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of QUICK on the processor as it is by default."""
    path = tmp_path_factory.mktemp("plain") / "run"
    train(QUICK, path)
    return path


@pytest.fixture
def slow_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics are fetched as seldom as from a GPU."""

    class Seldom(TensorPlacement):
        @classmethod
        def on(cls, device: str, channels_last: bool | None = False) -> TensorPlacement:
            return cls(torch.device(device), bool(channels_last), fetch_steps=3)

    monkeypatch.setattr(loop, "TensorPlacement", Seldom)


def test_devices_have_names() -> None:
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") == ("cuda" if HAS_GPU else "cpu")
    with pytest.raises(ConfigError, match="the device must be one of cpu, cuda, auto, not 'tpu'"):
        resolve_device("tpu")
    with pytest.raises(ConfigError, match="the device must be one of cpu, cuda, auto, not 'tpu'"):
        TrainConfig(device="tpu")


@pytest.mark.skipif(HAS_GPU, reason="there is a GPU")
def test_a_missing_gpu_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the device is cuda, but .*; use the device cpu"):
        train(replace(QUICK, device="cuda"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_metrics_fetched_late_are_the_same(tmp_path: Path, plain: Path, slow_fetch: None) -> None:
    watcher = Watcher()
    summary = train(QUICK, tmp_path / "run", listener=watcher)
    assert metrics(tmp_path / "run") == metrics(plain)
    assert summary["state_sha256"] == open_run(plain)[1]["state_sha256"]
    assert watcher.steps == list(range(1, 19))


@pytest.mark.parametrize("stop", [2, 5, 9, 13])
def test_metrics_fetched_late_do_not_harm_resumption(tmp_path: Path, plain: Path, slow_fetch: None, stop: int) -> None:
    with pytest.raises(StopRunError):
        train(QUICK, tmp_path / "run", listener=Watcher(stop))
    assert resume(tmp_path / "run")["state_sha256"] == open_run(plain)[1]["state_sha256"]
    assert metrics(tmp_path / "run") == metrics(plain)


def test_evaluations_may_be_seldom(tmp_path: Path, plain: Path) -> None:
    """After epochs 2 and 3 of 3; the weights are those of a run that evaluates after each, interrupted or not."""
    config, watcher = replace(QUICK, evaluate_epochs=2), Watcher()
    summary = train(config, tmp_path / "run", listener=watcher)
    assert watcher.epochs == [2, 3]
    expected = open_run(plain)[1]
    assert (summary["state_sha256"], summary["accuracy"]) == (expected["state_sha256"], expected["accuracy"])
    with pytest.raises(StopRunError):
        train(config, tmp_path / "stopped", listener=Watcher(9))
    watcher = Watcher()
    assert resume(tmp_path / "stopped", listener=watcher)["state_sha256"] == expected["state_sha256"]
    assert (watcher.steps[0], watcher.epochs) == (9, [2, 3])


@pytest.mark.parametrize("rule", ["bll", "backlink", "infopro"])
def test_channels_last_learns_the_same_and_its_files_are_plain(tmp_path: Path, rule: str) -> None:
    """Rounding differs, so states are compared closely, not exactly; interrupted it ends as undisturbed."""
    config = replace(QUICK, rule=rule, epochs=1, lr=0.01)
    train(config, tmp_path / "first")
    summary = train(replace(config, channels_last=True), tmp_path / "last")
    first, last = (load_run(tmp_path / name).states() for name in ("first", "last"))
    for block, state in first.items():
        torch.testing.assert_close(last[block], state, rtol=2e-3, atol=2e-4)
    assert summary["channels_last"] is True
    assert summary["state_sha256"] == digest(last)
    with pytest.raises(StopRunError):
        train(replace(config, channels_last=True), tmp_path / "stopped", listener=Watcher(5))
    assert resume(tmp_path / "stopped")["state_sha256"] == summary["state_sha256"]


@pytest.mark.slow
def test_a_compiled_run_says_so_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the compiler's first stages only, which take seconds; the time they take is not in the throughput."""
    monkeypatch.setattr(compiled, "BACKEND", "aot_eager")
    small: dict[str, Any] = {"network": "mlp", "network_options": {"width": 8, "depth": 2}}
    config, watcher = replace(QUICK, compile=True, epochs=1, **small), Watcher(5)
    with pytest.raises(StopRunError):
        train(config, tmp_path / "stopped", listener=watcher)
    assert watcher.said_lines == [f"compiling the step of block{k}; it may take minutes" for k in (0, 1)]
    summary = resume(tmp_path / "stopped")
    expected = train(config, tmp_path / "whole")
    assert summary["state_sha256"] == expected["state_sha256"]
    assert summary["compile"] is True
    assert expected["samples_per_second"] > 2 * expected["samples"] / expected["seconds"]
    plain = train(replace(config, compile=False), tmp_path / "plain")
    assert plain["compile"] is False
    assert plain["loss"] == pytest.approx(summary["loss"], rel=1e-3)


@pytest.mark.parametrize(("precision", "last"), [("float32", False), ("bfloat16", True)])
def test_channels_are_last_where_that_pays_unless_told_otherwise(tmp_path: Path, precision: str, last: bool) -> None:
    """The run keeps what was found, so that it goes on as it began; on a GPU also in mixed precision."""
    config = replace(QUICK, precision=precision, epochs=1, limit=32)
    assert train(config, tmp_path / "run")["channels_last"] is last
    assert load_run(tmp_path / "run").config.channels_last is last
    assert train(replace(config, channels_last=not last), tmp_path / "told")["channels_last"] is not last
    assert [pays_channels_last("mixed", device) for device in ("cpu", "cuda")] == [False, True]


def test_a_run_goes_on_elsewhere(tmp_path: Path) -> None:
    """Begun with channels last, as on a GPU, and ended without."""
    config = replace(QUICK, channels_last=True, epochs=1)
    with pytest.raises(StopRunError):
        train(config, tmp_path / "run", listener=Watcher(5))
    summary = resume(tmp_path / "run", how={"channels_last": False, "device": "auto", "compile": False})
    assert summary["channels_last"] is False
    assert summary["device"] == resolve_device("auto")
    assert load_run(tmp_path / "run").config.channels_last is True


def test_a_run_evaluates_on_a_device(plain: Path) -> None:
    result = load_run(plain).evaluate(load_dataset("digits", "test"), "auto")
    assert result.accuracy == pytest.approx(open_run(plain)[1]["accuracy"], abs=0.01)


@NEEDS_GPU
@pytest.mark.parametrize("precision", ["float32", "mixed", "bfloat16"])
@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_gpu_learns_what_the_processor_does(tmp_path: Path, precision: str, compile: bool) -> None:
    """Begun on the GPU, interrupted, gone on with there; the run opens without it."""
    config = replace(QUICK, limit=None, epochs=3, precision=precision)
    fast = replace(config, device="cuda", compile=compile, channels_last=True)
    with pytest.raises(StopRunError):
        train(fast, tmp_path / "gpu", listener=Watcher(100))
    summary = resume(tmp_path / "gpu")
    expected = train(config, tmp_path / "cpu")
    assert summary["device"] == "cuda"
    assert summary["accuracy"] == pytest.approx(expected["accuracy"], abs=0.04)
    run = load_run(tmp_path / "gpu")
    assert digest(run.states()) == summary["state_sha256"]
    for device in ("cpu", "cuda"):
        result = run.evaluate(load_dataset("digits", "test"), device)
        assert result.accuracy == pytest.approx(summary["accuracy"], abs=0.01)


@NEEDS_GPU
@pytest.mark.parametrize("rule", [name for name in DENSE if name != "fa"])
def test_every_rule_takes_the_steps_of_the_processor_on_a_gpu(tmp_path: Path, rule: str) -> None:
    one_block = make_rule(rule).one_block
    config = replace(QUICK, rule=rule, blocks=1 if one_block else 3, epochs=1, lr=0.01)
    train(config, tmp_path / "cpu")
    train(replace(config, device="cuda"), tmp_path / "cuda")
    ours, expected = (load_run(tmp_path / name).states() for name in ("cuda", "cpu"))
    for block, state in expected.items():
        torch.testing.assert_close(ours[block], state, rtol=2e-2, atol=2e-3)
