"""A language model from a text to a text: trained block by block, and sampled in every place, with the same bytes in all."""

from __future__ import annotations

import json
import math
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.command_calls import call
from support.pipelines import write_cluster
from support.slow import slow_after

import edgebll
from edgebll.data.texts.byte_sampler import Choosing
from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BundleError, ConfigError, LinkError
from edgebll.kernel.runs.listener import Listener
from edgebll.kernel.runs.run_result import RunResult
from edgebll_firmware_host.engines.engine_choice import OnBoards, agents_here
from edgebll_firmware_host.engines.local_processes import Engine, LocalProcesses
from edgebll_firmware_host.run.run_spec import SimulateSpec
from edgebll_firmware_host.run.text_entry_point import sample_on_boards

TEXT = Path(__file__).parents[2] / "LICENSE"
CHOICE: dict[str, Any] = {"prompt": "The ", "count": 40, "seed": 5}


def entropy_of(text: bytes) -> float:
    """Bits a byte takes if nothing is known but how often each comes."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return edgebll.train(
        tmp_path_factory.mktemp("runs") / "book",
        data=f"bytes:{TEXT}",
        data_option={"context": 32, "stride": 8},
        network="byte-transformer",
        network_option={"depth": 2, "dim": 32, "heads": 2, "hidden": 64},
        blocks=2,
        rule_option={"match": 0.1},
        optimizer="adam",
        optimizer_option={"clip_norm": 1},
        lr=0.01,
        warmup_steps=10,
        batch_size=16,
        epochs=2,
        threads=1,
    )


@pytest.fixture(scope="module")
def bundle(trained: RunResult, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return edgebll.export(trained, tmp_path_factory.mktemp("bundles") / "book")


def test_blocks_learn_more_of_a_text_than_how_often_each_byte_comes(trained: RunResult) -> None:
    assert trained.metrics["bits_per_byte"] < entropy_of(TEXT.read_bytes()) - 0.6
    assert trained.metrics["bits_per_byte"] == pytest.approx(trained.loss / math.log(2), rel=1e-12)
    lines = [json.loads(line) for line in (trained.path / "metrics.jsonl").read_text().splitlines()]
    first, last = (line["bits_per_byte"] for line in lines if line["kind"] == "eval")
    assert last < first
    assert edgebll.evaluate(trained, data=f"bytes:{TEXT}").metrics == pytest.approx(trained.metrics, rel=1e-9)
    assert f"bits per byte {last:.4f}" in call("eval", trained.path).stdout


@pytest.mark.parametrize("rule", slow_after(0, ["bll", "greedy"], "greedy".__eq__))
def test_six_blocks_learn_a_text_too(rule: str, tmp_path: Path) -> None:
    """A layer a block; not as well as the network as a whole, but much more than how often each byte comes."""
    options: dict[str, Any] = {
        "data": f"bytes:{TEXT}",
        "data_option": {"context": 32, "stride": 8},
        "network": "byte-transformer",
        "network_option": {"depth": 6, "dim": 32, "heads": 2, "hidden": 64},
        "optimizer": "adam",
        "optimizer_option": {"clip_norm": 1},
        "lr": 0.005,
        "warmup_steps": 30,
        "batch_size": 16,
        "epochs": 3,
        "evaluate_epochs": 3,
        "threads": 1,
    }
    whole = edgebll.train(tmp_path / "whole", rule="backprop", blocks=1, **options).metrics["bits_per_byte"]
    match = {"match": 0.1} if rule == "bll" else {}
    cut = edgebll.train(tmp_path / "cut", rule=rule, rule_option=match, blocks=6, **options).metrics["bits_per_byte"]
    assert whole < 3.2
    assert cut < entropy_of(TEXT.read_bytes()) - 0.6


def test_a_text_is_the_same_wherever_it_is_computed(trained: RunResult, bundle: Bundle, tmp_path: Path) -> None:
    here = edgebll.sample(trained, **CHOICE)
    assert (here.prompt, len(here.sampled)) == (b"The ", 40)
    assert edgebll.sample(bundle.path, **CHOICE) == here
    model = edgebll.merge(trained, tmp_path / "book.onnx")
    assert edgebll.sample(model.path, **CHOICE) == here
    told: list[int] = []
    with LocalProcesses(2, tmp_path / "agents") as cluster:
        inventory = write_cluster(tmp_path / "cluster.toml", {board.name: board.endpoint for board in cluster.boards})
        assert edgebll.sample(bundle.path, **CHOICE, cluster=inventory, told=told.append) == here
    assert bytes(told) == here.prompt + here.sampled
    assert edgebll.sample(trained, **{**CHOICE, "seed": 6}) != here


def test_a_text_goes_on_where_a_board_is_lost(bundle: Bundle) -> None:
    """The engine starts another agent, the byte that was asked for is asked for again, and all are as if nothing had been."""
    where = agents_here(SimulateSpec(boards=2))
    engines: list[LocalProcesses] = []
    told: list[int] = []

    def engine(run: Path) -> Engine:
        made = where.engine(run)
        assert isinstance(made, LocalProcesses)
        engines.append(made)
        return made

    def hurt(byte: int) -> None:
        told.append(byte)
        if len(told) == 10:
            os.kill(next(iter(engines[0].process_ids().values())), signal.SIGKILL)

    class Recoveries(Listener):
        found = 0

        def recovered(self, reason: str, board: str | None, step: int, seconds: float) -> None:
            self.found += 1

    listener = Recoveries()
    text = sample_on_boards(bundle, OnBoards(engine), Choosing(b"The ", 40, seed=5), hurt, listener)
    assert listener.found == 1
    here = edgebll.sample(bundle.path, **CHOICE)
    assert text == bytes(told) == here.prompt + here.sampled


def test_the_command_shows_it(bundle: Bundle) -> None:
    options = ["--prompt", "The ", "--bytes", "40", "--seed", "5"]
    here = edgebll.sample(bundle.path, **CHOICE)
    assert call("sample", bundle.path, *options).stdout == here.text + "\n"
    found = json.loads(call("sample", bundle.path, *options, "--boards", "2", "--json").stdout)
    assert (found["text"], bytes.fromhex(found["sampled_hex"])) == (here.text, here.sampled)
    assert "--temperature must be at least 0" in call("sample", bundle.path, "--temperature", "-1", code=2).stderr


def test_what_cannot_be_sampled_is_said(trained: RunResult, bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"boards compute a bundle, and .*book is a training run; export it first"):
        edgebll.sample(trained, boards=2)
    (tmp_path / "merged.onnx").touch()
    with pytest.raises(ConfigError, match=r"merged\.onnx is a file, maybe a merged model; give the bundle"):
        edgebll.sample(tmp_path / "merged.onnx", boards=2)
    with pytest.raises(ConfigError, match="give one of them"):
        edgebll.sample(bundle.path, boards=2, cluster="cluster.toml")
    with pytest.raises(ConfigError, match="boards must be at least 1, or 0 to compute here, not -1"):
        edgebll.sample(bundle.path, boards=-1)
    with pytest.raises(BundleError, match="is neither a run nor a bundle"):
        edgebll.sample(tmp_path)
    with pytest.raises(BundleError, match=r"there is no model at .*none\.onnx; give one that `edgebll merge` wrote"):
        edgebll.sample(tmp_path / "none.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(BundleError, match=r"broken\.onnx is no model that ONNX Runtime takes"):
        edgebll.sample(tmp_path / "broken.onnx")
    inventory = write_cluster(tmp_path / "cluster.toml", {"away": "tcp://127.0.0.1:9"}, "deadline_s = 1.0")
    with pytest.raises(LinkError):
        edgebll.sample(bundle.path, cluster=inventory)
    digits = edgebll.train(tmp_path / "digits", network="mlp", blocks=2, limit=64, epochs=1, batch_size=16)
    with pytest.raises(ConfigError, match=r"digits foretells no bytes: it takes float32\[1, 8, 8\] and gives \[10\]"):
        edgebll.sample(digits)
