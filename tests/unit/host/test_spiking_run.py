"""A run of a spiking bundle leaves what a training leaves: a raster of its blocks, and its synaptic operations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgebll
from edgebll.data import bundle_spikes, load_dataset, run_operations
from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.errors import MissingExtraError
from edgebll.kernel.plots.block_spikes import draw_block_spikes
from edgebll.learning.networks import make_network
from edgebll.learning.training.module_state import state_dict

RATES = {"encode": "rate", "time_steps": 3}
WIDTHS = {"width": 8, "depth": 3, "v_threshold": 0.3}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spiking")
    made = make_network(
        "spiking-mlp",
        num_blocks=3,
        num_classes=10,
        input_shape=(3, 1, 8, 8),
        seed=0,
        options=WIDTHS,
    )
    edgebll.export_bundle(
        made,
        rule=edgebll.make_rule("greedy"),
        optimizer=edgebll.SGD(),
        batch_size=16,
        path=folder / "bundle",
        provenance={"data": "digits", "data_options": RATES},
    )
    return folder / "bundle"


def simulated(bundle: Path, out: Path, told: list[Any]) -> edgebll.RunResult:
    return edgebll.simulate(bundle, out, boards=0, epochs=1, limit=32, progress=told.append)


def test_the_raster_shows_what_blocks_send_and_operations_are_those_of_eval(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, Any] = {}

    def kept(run: Path, spikes: Any, titles: Any) -> Path:
        drawn.update(spikes=spikes, titles=titles)
        return draw_block_spikes(run, spikes, titles)

    monkeypatch.setattr(bundle_spikes, "draw_block_spikes", kept)
    told: list[Any] = []
    run = simulated(bundle, tmp_path / "run", told)
    assert not [event for event in told if "no operations" in str(event) or "picture" in str(event)]
    assert (run.path / "spikes.png").read_bytes().startswith(b"\x89PNG")
    test = load_dataset("digits", "test", options=RATES)
    network = make_network("spiking-mlp", num_blocks=3, num_classes=10, input_shape=(3, 1, 8, 8), seed=1, options=WIDTHS)
    network.load_state_dict(state_dict(run), strict=True)
    a = torch.from_numpy(test.inputs(np.arange(4)))
    assert list(drawn["spikes"]) == ["x", "block0", "block1"]
    assert drawn["titles"] == [str(label) for label in test.labels[:4]]
    for shown, block in zip(drawn["spikes"].values(), network.eval().blocks, strict=True):
        assert np.mean(shown != a.detach().numpy()) < 0.02  # a potential at the threshold may be rounded either way
        a = block(a)
    assert 0 < np.mean(drawn["spikes"]["block0"]) < 1
    counted = run.summary["operations"]
    assert counted == edgebll.evaluate(run, limit=256, operations=True).summary["operations"]
    assert counted["network"]["effective_acs"] > 0


def test_without_torch_there_is_a_note(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise MissingExtraError("counting synaptic operations needs torch, which is not installed")

    monkeypatch.setattr(run_operations, "import_torch", refuse)
    told: list[Any] = []
    run = simulated(bundle, tmp_path / "run", told)
    assert "operations" not in run.summary
    assert (run.path / "spikes.png").exists()
    assert any("no operations in summary.json: counting synaptic operations needs torch" in str(event) for event in told)


def test_a_host_imports_no_network_of_a_users_own(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("nothing may be imported")

    monkeypatch.setattr(run_operations, "import_torch", refuse)
    found, test = open_bundle(bundle), load_dataset("digits", "test", None, 4, RATES)
    with pytest.raises(AssertionError):
        run_operations.operations_of_bundle(found, test)
    own = replace(found.manifest, network={**found.manifest.network, "code": {"reference": "mine.py:net"}})
    assert run_operations.operations_of_bundle(replace(found, manifest=own), test) == {}
    timeless = replace(found.manifest, recipe={})
    assert run_operations.operations_of_bundle(replace(found, manifest=timeless), test) == {}


def test_networks_without_time_have_no_raster(bundle: Path, tmp_path: Path) -> None:
    found, test = open_bundle(bundle), load_dataset("digits", "test", None, 4, RATES)
    timeless = replace(found, manifest=replace(found.manifest, recipe={}))
    assert bundle_spikes.draw_spikes_of_bundle(tmp_path, timeless, test) is None
    one = replace(found.manifest, blocks=found.manifest.blocks[:1], edges=found.manifest.edges[:1])
    single = replace(found, manifest=one)
    assert bundle_spikes.draw_spikes_of_bundle(tmp_path, single, test) is None
    assert not list(tmp_path.iterdir())
