"""Merging a bundle whose code is not here any more, or whose weights are frozen: its own graphs have all that is needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from support.command_calls import call, sentence
from support.exported import masked

import edgebll
from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.errors import ConfigError, ExportError
from edgebll.kernel.tasks import make_task
from edgebll.learning import BLL, SGD
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll_export import export_bundle
from edgebll_export.merged.merged_model import MergedModel

OWN = """
from dataclasses import dataclass

from torch import nn

from edgebll.kernel.tasks import Task


def hidden(width, num_classes, input_shape):
    return [nn.Sequential(nn.Linear(input_shape[0], width), nn.ReLU()), nn.Linear(width, num_classes)]


@dataclass(frozen=True)
class Cubic(Task):
    scale: float = 1.0

    def losses(self, output, y):
        return ((output - y) / self.scale).abs().square().flatten(1).mean(1)
"""


def exported(network: BlockNetwork, path: Path) -> np.ndarray:
    """A bundle of the network for batches of 8; and what the network itself gives for ones."""
    export_bundle(network, rule=BLL(), optimizer=SGD(), batch_size=8, path=path)
    with torch.no_grad():
        return np.asarray(network(torch.ones(8, 6)))


def run(model: MergedModel) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run([model.output], {"x": np.ones((8, 6), np.float32)})[0])


def test_a_network_whose_file_has_gone_is_joined_from_its_graphs(tmp_path: Path) -> None:
    file, bundle, notes = tmp_path / "own.py", tmp_path / "bundle", []
    file.write_text(OWN)
    network = make_network(f"{file}:hidden", num_classes=3, input_shape=(6,), seed=0, options={"width": 5})
    expected = exported(network, bundle)
    file.unlink()
    model = edgebll.merge(bundle, tmp_path / "model.onnx", progress=lambda event: notes.append(str(event)))
    assert (model.batch, model.output) == (8, "logits")
    np.testing.assert_allclose(run(model), expected, atol=1e-5)
    assert any(f"needs {file}, which is missing" in note for note in notes)
    with pytest.raises(ConfigError, match=r"any batch size needs, is not known here \(the network own\.py:hidden needs .*miss"):
        edgebll.merge(bundle, tmp_path / "other.onnx", batch="dynamic")
    model = edgebll.merge(bundle, tmp_path / "given.onnx", network=network)
    assert model.batch is None
    with pytest.raises(ConfigError, match="which is missing; put that file back, or give the network as network="):
        edgebll.state_dict(bundle)
    assert "which is missing" in sentence(call("state", bundle, "-o", tmp_path / "weights.safetensors", code=2))
    assert not list(tmp_path.glob("weights*"))
    file.write_text(OWN + "# another\n")
    assert edgebll.merge(bundle, tmp_path / "changed.onnx").batch == 8


def test_a_task_whose_file_has_gone_is_not_asked(tmp_path: Path) -> None:
    file, bundle = tmp_path / "own.py", tmp_path / "bundle"
    file.write_text(OWN)
    layers = [torch.nn.Linear(6, 4), torch.nn.Linear(4, 2)]
    network = BlockNetwork(layers, None, (6,), task=make_task(f"{file}:Cubic", scale=2.0))
    expected = exported(network, bundle)
    file.unlink()
    model = edgebll.merge(bundle, tmp_path / "model.onnx")
    assert (model.batch, model.output, model.same_class) == (8, "output", None)
    np.testing.assert_allclose(run(model), expected, atol=1e-5)
    told = onnxruntime.InferenceSession(model.path).get_modelmeta().custom_metadata_map
    assert told["edgebll.task"] == '{"name": "own.py:Cubic", "options": {"scale": 2.0}}'


def test_frozen_weights_count_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = masked(tmp_path / "bundle")
    opened = open_bundle(bundle.path)
    learnt = sum(opened.state(b.name)[name].nbytes for b in opened.manifest.blocks for name in b.forward_state)
    constants = sum(value.nbytes for b in opened.manifest.blocks for value in opened.constants(b.name).values())
    assert constants == 4 * (6 * 6 + 6)
    monkeypatch.setattr("edgebll_export.merged.whole_model.MAX_WEIGHT_BYTES", learnt + constants // 2)
    with pytest.raises(ExportError, match="GiB, and one ONNX file holds 2; deploy the blocks of a bundle instead"):
        edgebll.merge(bundle, tmp_path / "model.onnx")
    monkeypatch.setattr("edgebll_export.merged.whole_model.MAX_WEIGHT_BYTES", learnt + constants)
    assert edgebll.merge(bundle, tmp_path / "model.onnx").size_bytes
