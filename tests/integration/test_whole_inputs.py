"""Own networks on whole numbers, exported from Python and trained over boards: tokens into an embedding, pixels as bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from support.documents import Document
from support.pipelines import invoke, summary
from support.slow import slow_after
from torch import Tensor, nn
from typer.testing import CliRunner

from edgebll.data import load_dataset
from edgebll.kernel.bundle import open_bundle
from edgebll.learning import BLL, SGD
from edgebll.learning.networks import BlockNetwork, Inputs
from edgebll_devices.commands.app import app as board
from edgebll_export import export_bundle


class Positions(nn.Module):
    """What each of ten tokens is, and where it stands."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(10, 16), nn.Parameter(torch.randn(10, 16))

    def forward(self, x: Tensor) -> Tensor:
        return self.tokens(x) + self.places


class Unit(nn.Module):
    """Bytes as numbers from 0 to 1."""

    def forward(self, x: Tensor) -> Tensor:
        return x.float() / 16


def on_tokens() -> BlockNetwork:
    mix = nn.Sequential(nn.Flatten(), nn.Linear(160, 160), nn.Tanh(), nn.Unflatten(1, (10, 16)))
    examples = load_dataset("reverse", "train", limit=64).as_dtype("int64").samples
    return BlockNetwork([nn.Sequential(Positions(), mix), nn.Linear(16, 10)], 10, (10,), example_inputs=examples)


def on_pixels() -> BlockNetwork:
    first = nn.Sequential(Unit(), nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU())
    examples = load_dataset("digits", "train", limit=64).as_dtype("uint8").samples
    last = nn.Sequential(nn.Flatten(), nn.Linear(216, 10))
    return BlockNetwork([first, last], 10, (1, 8, 8), example_inputs=examples)


CASES: dict[str, tuple[Callable[[], BlockNetwork], str]] = {
    "int64": (on_tokens, "reverse"),
    "uint8": (on_pixels, "digits"),
}


@pytest.mark.parametrize("dtype", slow_after(1, CASES))
def test_boards_give_the_bits_of_a_sequential_run(dtype: str, tmp_path: Path) -> None:
    make, data = CASES[dtype]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = make()
    export_bundle(network, rule=BLL(), optimizer=SGD(lr=0.1), batch_size=16, path=tmp_path / "bundle")
    bundle = open_bundle(tmp_path / "bundle")
    assert bundle.manifest.blocks[0].input.dtype == dtype
    assert bundle.golden("block0")["0/x"].dtype == dtype
    assert CliRunner().invoke(board, ["verify", str(bundle.path)]).exit_code == 0

    found = []
    for boards in (0, 2):
        run = tmp_path / str(boards)
        options = ("--data", data, "--limit", 1280, "--snapshot-every", 40)
        invoke("simulate", bundle.path, "--boards", boards, "--out", run, *options)
        found.append(summary(run))
    assert found[0]["state_sha256"] == found[1]["state_sha256"]
    assert found[0]["accuracy"] == found[1]["accuracy"] > 0.15, "it learnt nothing"
    assert found[0]["steps"] == 80
    start, end = bundle.state("block0"), open_bundle(tmp_path / "2" / "bundle").state("block0")
    assert all(not np.array_equal(start[name], end[name]) for name in start if name.endswith("weight"))
    accuracy = json.loads(invoke("eval", tmp_path / "2", "--json"))["accuracy"]
    assert accuracy == pytest.approx(found[1]["accuracy"], abs=1e-9)


def test_data_of_another_kind_are_refused_before_anything_runs(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        network = on_tokens()
    export_bundle(network, rule=BLL(), optimizer=SGD(), batch_size=16, path=tmp_path / "bundle")
    invoke("simulate", tmp_path / "bundle", "--boards", 0, "--out", tmp_path / "run", "--data", "digits", code=4)
    assert not (tmp_path / "run").exists()
    narrow = on_tokens()
    narrow.inputs = Inputs((10,), "int64", range=(0, 8))
    export_bundle(narrow, rule=BLL(), optimizer=SGD(), batch_size=16, path=tmp_path / "narrow")
    invoke("simulate", tmp_path / "narrow", "--boards", 0, "--out", tmp_path / "run", "--data", "reverse", code=4)
    assert not (tmp_path / "run").exists()


def test_the_page_on_inputs_works_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = Document("docs/explanation/inputs.md").fenced("python")
    with torch.random.fork_rng():
        exec(compile(code, "docs/explanation/inputs.md", "exec"), {"__name__": "page"})
    invoke("simulate", "bundles/tokens", "--out", "runs/tokens", "--boards", 0, "--limit", 160)
    assert summary(tmp_path / "runs" / "tokens")["steps"] == 10
