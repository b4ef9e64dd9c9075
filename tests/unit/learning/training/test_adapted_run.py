"""Training runs with adapters: what they say is saved, and what they are worth merged into plain weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import edgebll
from edgebll.data import load_dataset
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.runs.run_events import RunEvent, RunNotice
from edgebll.kernel.spec.fine_tuning import FineTuning
from edgebll.learning.networks import make_network
from edgebll.learning.training import load_run

QUICK = {"network": "mlp", "blocks": 2, "epochs": 1, "limit": 320, "batch_size": 32, "threads": 1}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[RunEvent]]:
    path, told = tmp_path_factory.mktemp("adapted") / "run", list[RunEvent]()
    edgebll.train(path, **QUICK, adapter="lora", rank=2, trainable="head", progress=told.append)  # type: ignore[arg-type]
    return path, told


def test_the_merged_network_is_as_good_as_the_adapted_one(run: tuple[Path, list[RunEvent]]) -> None:
    trained, data = load_run(run[0]), load_dataset("digits", "test")
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=1)
    for name, state in trained.plain_states().items():
        own = {
            k.removeprefix("net."): v
            for k, v in state.items()
            if k.startswith("net.") and ".lora" not in k and ".base" not in k
        }
        missing, unexpected = network.blocks[int(name[-1])].load_state_dict(own, strict=False)
        assert not unexpected
        assert all("num_batches" in key for key in missing)
    x = torch.from_numpy(data.inputs(np.arange(len(data))))
    with torch.no_grad():
        merged = network.eval()(x)
        adapted = x
        for step in trained.steps:
            adapted = step.forward(trained.states()[step.name], adapted)
    assert torch.allclose(merged, adapted, rtol=1e-4, atol=1e-5 * float(adapted.abs().max()))
    plain = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0).eval()(x)
    assert not torch.allclose(merged, plain, rtol=0.1), "the corrections have learnt something"


def test_it_says_what_is_saved(run: tuple[Path, list[RunEvent]]) -> None:
    (text,) = [event.text for event in run[1] if isinstance(event, RunNotice) and event.text.startswith("fine-tuning")]
    weights = [p.numel() for p in make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0).parameters()]
    states = load_run(run[0]).states()
    trained = sum(value.numel() for state in states.values() for name, value in state.items() if name.startswith("net."))
    size = sum(value.nbytes for state in states.values() for value in state.values()) / 1024
    assert text.startswith(f"fine-tuning: {trained} of {sum(weights)} weights train, and the state, which every snapshot")
    assert f" has {size:.1f} instead of " in text


def test_a_merged_bundle_is_the_plain_network(run: tuple[Path, list[RunEvent]], tmp_path: Path) -> None:
    bundle = edgebll.export(run[0], tmp_path / "merged", merge=True)
    assert "fine_tuning" not in bundle.manifest.recipe
    assert not bundle.constants("block0")
    names = {tensor.name for tensor in bundle.manifest.blocks[0].state}
    assert not [name for name in names if "lora" in name or ".base" in name]
    expected = load_run(run[0]).plain_states()["block0"]
    for name, value in bundle.state("block0").items():
        if name.startswith("net."):
            assert np.array_equal(value, expected[name].numpy()), name
    edgebll.verify(bundle, steps=1)


def test_another_plan_begins_with_the_merged_weights(run: tuple[Path, list[RunEvent]], tmp_path: Path) -> None:
    bundle = edgebll.export(run[0], tmp_path / "next", freeze="block0")
    assert bundle.manifest.recipe["fine_tuning"]["freeze"] == ["block0"]
    expected = load_run(run[0]).plain_states()["block0"]
    constants = bundle.constants("block0")
    assert constants
    assert all(np.array_equal(value, expected[name].numpy()) for name, value in constants.items())


def test_a_run_that_is_resumed_keeps_its_adapters(run: tuple[Path, list[RunEvent]]) -> None:
    assert load_run(run[0]).config.fine_tuning == FineTuning(adapter="lora", rank=2, trainable="head")
    with pytest.raises(ConfigError, match="started with --rank 2 and cannot go on with 3; leave --rank out"):
        edgebll.train(run[0], resume=True, rank=3)


def test_module_states_and_merged_models_have_the_adapters_in_them(run: tuple[Path, list[RunEvent]], tmp_path: Path) -> None:
    found, expected = edgebll.state_dict(run[0]), load_run(run[0]).plain_states()
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=1)
    network.load_state_dict(found, strict=True)
    for name, value in network.blocks[0].state_dict().items():
        assert "num_batches" in name or torch.equal(value, expected["block0"][f"net.{name}"]), name
    x = torch.randn(16, 1, 8, 8)
    with torch.no_grad():
        plain = network.eval()(x).numpy()
    edgebll.merge(run[0], tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    (scores,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(np.asarray(scores), plain, rtol=1e-3, atol=1e-4)
