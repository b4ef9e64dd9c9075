"""Side streams in the trainer, in checkpoints and in bundles, with a rule made for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from support.toy_rule import STREAMS, Toy
from torch import Tensor

from edgebll.data import Dataset, batch_order, load_dataset, training_batch
from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.errors import BundleError
from edgebll.kernel.runs.run_folder import open_run
from edgebll.kernel.spec.edge_check import EdgeSpec
from edgebll.learning import RULES, SGD
from edgebll.learning.networks import make_network
from edgebll.learning.training import Listener, TrainConfig, resume, train
from edgebll.learning.training.checkpoint import States, digest
from edgebll.learning.training.config import RunRecord
from edgebll.learning.training.torch_device import torch_settings
from edgebll.learning.training.trained_model import build_model
from edgebll_devices.runtimes.golden_replay import failures, replay
from edgebll_export import export_bundle, verify_bundle

CONFIG = TrainConfig(
    data="digits",
    network="mlp",
    blocks=3,
    rule="toy",
    epochs=2,
    batch_size=32,
    limit=160,
    schedule="constant",
    checkpoint_steps=2,
)


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "toy", Toy)


class StopRunError(Exception):
    """What interrupts a run."""


class StopAt(Listener):
    def __init__(self, step: int) -> None:
        self.step = step

    def stepped(self, step: int, losses: Sequence[float], samples: int) -> None:
        if step == self.step:
            raise StopRunError


def by_hand(config: TrainConfig) -> str:
    """The digest of a run whose notes are kept in a table of all steps and looked up by step number."""
    data = load_dataset("digits", "train", None, config.limit)
    with torch_settings(torch.device("cpu"), config.threads, exact=True):
        return digest(by_hand_on(data, config))


def by_hand_on(data: Dataset, config: TrainConfig) -> States:
    steps = build_model(RunRecord(config.completed(), 10, (1, 8, 8))).steps
    states = {step.name: step.initial_state() for step in steps}
    notes: dict[tuple[int, int], Tensor] = {}
    time = 0
    for epoch in range(config.epochs):
        for indices in batch_order(len(data), config.batch_size, config.seed, epoch):
            x, y = map(torch.from_numpy, training_batch(data, indices, "none", config.seed, epoch))
            for k, step in enumerate(steps):
                told = {
                    f"block{k + offset}.note": notes.get((k + offset, time - lag), torch.zeros(len(indices)))
                    for offset, lag in STREAMS
                    if 0 <= k + offset < len(steps)
                }
                notes[k, time] = x.flatten(1).mean(1)
                states[step.name], x, _, sent = step(states[step.name], x, y, {"lr": torch.tensor(0.05)}, told)
                assert torch.equal(sent["note"], notes[k, time])
            time += 1
    return states


def test_each_step_reads_the_tokens_of_the_right_steps(tmp_path: Path) -> None:
    assert train(CONFIG, tmp_path / "run")["state_sha256"] == by_hand(CONFIG)


@pytest.mark.parametrize("step", [1, 3, 7, 9])
def test_a_resumed_run_takes_what_waited(tmp_path: Path, step: int) -> None:
    with pytest.raises(StopRunError):
        train(CONFIG, tmp_path / "run", listener=StopAt(step))
    assert resume(tmp_path / "run")["state_sha256"] == by_hand(CONFIG)


@pytest.mark.parametrize(
    ("rule", "options"),
    [("bll", {"feedback": "chain"}), ("infopro", {}), ("backlink", {}), ("backlink", {"lag": 1, "length": 2}), ("man", {})],
)
def test_every_rule_with_side_streams_resumes_to_the_same_bits(tmp_path: Path, rule: str, options: dict[str, Any]) -> None:
    config = replace(CONFIG, rule=rule, rule_options=options)
    whole = train(config, tmp_path / "whole")["state_sha256"]
    with pytest.raises(StopRunError):
        train(config, tmp_path / "run", listener=StopAt(7))
    assert resume(tmp_path / "run")["state_sha256"] == whole


def test_a_damaged_stream_is_refused(tmp_path: Path) -> None:
    for number, damage in enumerate((Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-4] + b"\0\0\1\0"))):
        run = tmp_path / f"run{number}"
        with pytest.raises(StopRunError):
            train(CONFIG, run, listener=StopAt(3))
        damage(run / "checkpoint" / "streams.safetensors")
        with pytest.raises(BundleError):
            resume(run)


def test_runs_without_side_streams_write_none(tmp_path: Path) -> None:
    train(replace(CONFIG, rule="bll", epochs=1), tmp_path / "run")
    assert open_run(tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoint" / "streams.safetensors").exists()


def test_a_bundle_has_the_streams_and_its_graphs_follow_them(tmp_path: Path) -> None:
    network = make_network("mlp", num_blocks=3, num_classes=10, input_shape=(1, 8, 8), seed=0)
    manifest = export_bundle(network, rule=Toy(), optimizer=SGD(), batch_size=8, path=tmp_path / "bundle")
    assert [tensor.name for tensor in manifest.block("block1").received] == ["block0.note", "block2.note"]
    assert [edge.lag for edge in manifest.side_streams("block0")] == [1, 2]
    rows = verify_bundle(tmp_path / "bundle", steps=5)
    assert {row.block for row in rows if row.tensor == "note"} == {"block0", "block1", "block2"}
    assert [row for row in rows if row.failed] == []
    bundle = open_bundle(tmp_path / "bundle")
    golden = bundle.golden("block0")
    assert not golden["1/block2.note"].any()
    assert (golden["2/block2.note"] == bundle.golden("block2")["0/note"]).all()
    replayed = replay(bundle, "block1", "onnxruntime")
    assert "2/note" in {row.tensor for row in replayed}
    assert failures(replayed) == []


@dataclass(frozen=True)
class TooEarly(Toy):
    """Its backward streams have no lag."""

    name: ClassVar[str] = "early"

    def edges(self, blocks: Sequence[str]) -> tuple[EdgeSpec, ...]:
        return tuple(replace(edge, lag=0) for edge in super().edges(blocks))


def test_edges_that_cannot_run_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0)
    with pytest.raises(BundleError, match="lag must be at least 1"):
        export_bundle(network, rule=TooEarly(), optimizer=SGD(), batch_size=8, path=tmp_path / "bundle")
    monkeypatch.setitem(RULES, "toy", TooEarly)
    with pytest.raises(BundleError, match="lag must be at least 1"):
        train(CONFIG, tmp_path / "run")
