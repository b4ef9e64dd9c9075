"""Training runs of which parts are frozen: what they keep, and that they go on, and are read, with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.damaged_files import flip

import edgebll
from edgebll.data import load_dataset
from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.runs.run_folder import open_run
from edgebll.kernel.spec.fine_tuning import FineTuning
from edgebll.kernel.state.block_state import load_tensors
from edgebll.learning.networks import make_network
from edgebll.learning.training import Listener, TrainConfig, load_run, resume, train, trained_model

TUNING = FineTuning(freeze=("block0",))
QUICK = TrainConfig(network="mlp", blocks=3, epochs=2, batch_size=32, limit=192, checkpoint_steps=4, fine_tuning=TUNING)


class StopRunError(Exception):
    """What an interrupting listener raises."""


class StopAt(Listener):
    def __init__(self, step: int) -> None:
        self.step, self.losses = step, [0.0]

    def stepped(self, step: int, losses: Sequence[float], samples: int) -> None:
        self.losses = list(losses)
        if step == self.step:
            raise StopRunError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("frozen") / "run"
    train(QUICK, path)
    return path


def test_a_run_keeps_what_is_frozen_beside_its_states(run: Path) -> None:
    plain = make_network("mlp", num_blocks=3, num_classes=10, input_shape=(1, 8, 8), seed=0)
    kept = load_tensors(run / "constants" / "block0.safetensors")
    own = {f"net.{name}": value for name, value in plain.blocks[0].state_dict().items() if "num_batches" not in name}
    assert kept.keys() == own.keys()
    assert all((kept[name] == value.numpy()).all() for name, value in own.items())
    assert load_tensors(run / "checkpoint" / "block0.safetensors") == {}
    assert sorted(path.name for path in (run / "constants").iterdir()) == ["block0.safetensors", "constants.json"]


def test_the_trained_network_is_whole(run: Path) -> None:
    """Evaluated by hand with the constants of the run and the states it ended with."""
    trained = load_run(run)
    network = make_network("mlp", num_blocks=3, num_classes=10, input_shape=(1, 8, 8), seed=1)
    for index, block in enumerate(network.blocks):
        tensors = {**trained.constants(f"block{index}"), **trained.states()[f"block{index}"]}
        own = {name.removeprefix("net."): value for name, value in tensors.items() if name.startswith("net.")}
        assert not [name for name in block.load_state_dict(own, strict=False).missing_keys if "num_batches" not in name]
    data = load_dataset("digits", "test")
    with torch.no_grad():
        found = network.eval()(torch.from_numpy(data.inputs(np.arange(len(data))))).argmax(1).numpy()
    assert (found == data.labels).mean() == pytest.approx(open_run(run)[1]["accuracy"], abs=1e-9)
    assert trained.evaluate(data).accuracy == open_run(run)[1]["accuracy"]


@pytest.mark.parametrize("step", [2, 7])
def test_an_interrupted_run_goes_on_with_the_same_bits(run: Path, step: int, tmp_path: Path) -> None:
    listener = StopAt(step)
    with pytest.raises(StopRunError):
        train(QUICK, tmp_path / "run", listener=listener)
    assert [loss == loss for loss in listener.losses] == [False, True, True], "a frozen block has no loss"
    assert resume(tmp_path / "run")["state_sha256"] == open_run(run)[1]["state_sha256"]


@pytest.mark.parametrize("step", [1, 7])
def test_a_run_that_goes_on_makes_its_network_once(step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Making it may take long: a user's own code may load weights, and cutting tries it. Before and after a checkpoint."""
    made: list[str] = []
    monkeypatch.setattr(trained_model, "make_network", lambda *a, **options: made.append(a[0]) or make_network(*a, **options))
    with pytest.raises(StopRunError):
        train(QUICK, tmp_path / "run", listener=StopAt(step))
    assert made == ["mlp"]
    resume(tmp_path / "run")
    assert made == ["mlp", "mlp"]
    load_run(tmp_path / "run")
    assert made == ["mlp", "mlp", "mlp"]


def lose_the_seal(path: Path) -> None:
    (path.parent / "constants.json").unlink()


@pytest.mark.parametrize(
    ("damage", "reason"), [(flip, "is damaged: its tensors have another SHA-256"), (lose_the_seal, "is not whole")]
)
def test_damaged_constants_are_refused(run: Path, damage: Callable[[Path], None], reason: str, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    damage(tmp_path / "run" / "constants" / "block0.safetensors")
    with pytest.raises(BundleError, match=reason):
        load_run(tmp_path / "run")


def test_the_options_of_a_run_say_the_plan_and_a_resumed_run_keeps_it(tmp_path: Path) -> None:
    quick: dict[str, Any] = {"network": "mlp", "blocks": 2, "epochs": 1, "limit": 64}
    result = edgebll.train(tmp_path / "run", **quick, freeze="block0.*", trainable="head")
    assert load_run(tmp_path / "run").config.fine_tuning == FineTuning(("block0.*",), "head")
    assert edgebll.train(tmp_path / "run", resume=True, freeze=["block0.*"]).state_sha256 == result.state_sha256
    with pytest.raises(ConfigError, match=r"started with --freeze block0\.\* and cannot go on with block1; leave --freeze out"):
        edgebll.train(tmp_path / "run", resume=True, freeze=["block1"])


def test_a_config_that_freezes_what_is_not_there_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="freeze 'blok0' means no parameter of the network; near are block0"):
        train(replace(QUICK, fine_tuning=FineTuning(("blok0",))), tmp_path / "run")
    assert not (tmp_path / "run").exists()
