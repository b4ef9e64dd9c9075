"""One model of a whole trained network: equal to the user's module with the trained weights, and plain ONNX in one file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from support.exported import mixed, mlp
from torch import Tensor, nn

import edgebll
from edgebll.kernel.bundle import open_bundle, write_updated
from edgebll.kernel.errors import BundleError, ConfigError, ExportError, StorageError, VerifyError
from edgebll.kernel.state.block_state import state_sha256
from edgebll.learning import SGD, make_rule
from edgebll.learning.networks import BlockNetwork, rebuild_network
from edgebll_export import export_bundle


def run(path: Path, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [given.name for given in session.get_inputs()] == ["x"]
    return np.asarray(session.run(["logits"], {"x": x})[0])


def by_pytorch(bundle: Path, x: np.ndarray) -> np.ndarray:
    """The shipped network of a bundle in PyTorch alone, with its weights loaded strictly."""
    manifest = open_bundle(bundle).manifest
    network = rebuild_network(manifest.network, manifest.num_classes, manifest.input_shape)
    network.load_state_dict(edgebll.state_dict(bundle), strict=True)
    with torch.no_grad():
        return np.asarray(network.eval()(torch.from_numpy(x)))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a shipped network whose weights and statistics a few steps of training have moved."""
    path = tmp_path_factory.mktemp("merge")
    bundle = mlp(path / "start")
    generator = np.random.default_rng(1)
    states = {block.name: bundle.state(block.name) for block in bundle.manifest.blocks}
    for state in states.values():
        for name, value in state.items():
            if value.dtype == np.float32 and value.ndim:
                noise = (
                    generator.uniform(0.5, 1.5, value.shape) if "running_var" in name else generator.normal(0, 0.3, value.shape)
                )
                state[name] = (noise if "running_var" in name else value + noise).astype(np.float32)
    write_updated(bundle, states, path / "trained", {"data": "digits"})
    return path / "trained"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of convolutions of one's own, whose code no bundle tells."""
    return mixed(tmp_path_factory.mktemp("merge") / "own").path


@pytest.mark.trains_modules
def test_the_model_is_the_network_with_its_weights_for_any_batch(trained: Path, tmp_path: Path) -> None:
    made = edgebll.merge(trained, tmp_path / "model.onnx")
    x = np.random.default_rng(0).standard_normal((50, 1, 6, 6), dtype=np.float32)
    expected = by_pytorch(trained, x)
    for count in (1, 3, 50):
        np.testing.assert_allclose(run(made.path, x[:count]), expected[:count], atol=2e-6 * np.abs(expected).max())
    assert (made.network, made.numbers, made.batch, made.output, made.same_class) == ("mlp", "float32", None, "logits", 1.0)
    assert made.max_rel_error < 1e-5
    assert made.size_bytes == (tmp_path / "model.onnx").stat().st_size
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_the_file_is_plain_onnx_and_says_what_it_is(trained: Path, tmp_path: Path) -> None:
    made = edgebll.merge(trained, tmp_path / "model.onnx", batch=4)
    model = onnx.load(made.path)
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} == {""}
    assert [opset.domain for opset in model.opset_import] == [""]
    assert [size.dim_value for size in model.graph.output[0].type.tensor_type.shape.dim] == [4, 5]
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in model.graph.initializer)
    folds = [node for node in model.graph.node if node.op_type == "BatchNormalization"]
    assert folds, "in the form that ONNX Runtime folds"
    assert all(len(node.output) == 1 for node in folds)
    assert not any(attribute.name == "training_mode" for node in folds for attribute in node.attribute)
    told = {entry.key.removeprefix("edgebll."): entry.value for entry in model.metadata_props}
    assert json.loads(told["network"])["name"] == "mlp"
    assert (told["classes"], told["data"], told["rule"], told["batch"]) == ("5", "digits", "bll", "4")
    bundle = open_bundle(trained)
    assert told["state_sha256"] == state_sha256({block.name: bundle.state(block.name) for block in bundle.manifest.blocks})


@pytest.mark.trains_modules
@pytest.mark.parametrize(("how", "share", "error"), [("float16", 0.6, 5e-3), ("int8", 0.45, 0.2)])
def test_fewer_digits_take_less_room_and_little_accuracy(
    how: str, share: float, error: float, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(0).standard_normal((64, 1, 6, 6), dtype=np.float32)
    monkeypatch.setattr("edgebll_export.merged.merge.calibration_batches", lambda *_: [{"x": x[:32]}, {"x": x[32:]}])
    whole = edgebll.merge(trained, tmp_path / "float32.onnx")
    made = edgebll.merge(trained, tmp_path / "small.onnx", float16=how == "float16", int8=how == "int8")
    assert made.numbers == how
    assert made.size_bytes < share * whole.size_bytes
    expected = by_pytorch(trained, x)
    assert np.abs(run(made.path, x) - expected).max() < error * np.abs(expected).max()
    assert made.max_rel_error > whole.max_rel_error, "and it is told"
    assert {node.domain for node in onnx.load(made.path).graph.node} == {""}


def test_graphs_of_a_network_that_is_not_known_are_joined_for_their_batch(own: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    made = edgebll.merge(own, tmp_path / "model.onnx", progress=lambda event: notes.append(str(event)))
    assert made.batch == 8
    x = np.random.default_rng(0).standard_normal((8, 2, 9, 9), dtype=np.float32)
    bundle, a = open_bundle(own), x
    for block in bundle.manifest.blocks:
        session = onnxruntime.InferenceSession(bundle.graph(block.name, "forward"), providers=["CPUExecutionProvider"])
        state = bundle.state(block.name)
        a = np.asarray(session.run(["a"], {"x": a, **{name: state[name] for name in block.forward_state}})[0])
    np.testing.assert_allclose(run(made.path, x), a, atol=1e-6)
    with pytest.raises(ConfigError, match=r"any batch size needs, is not known here; give it from Python: .*network="):
        edgebll.merge(own, tmp_path / "other.onnx", batch="dynamic")
    assert not (tmp_path / "other.onnx").exists()


class Centred(nn.Module):
    """What a sample gives depends on the others of its batch."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0, keepdim=True)


def test_what_depends_on_the_rest_of_the_batch_is_not_written(tmp_path: Path) -> None:
    network = BlockNetwork([nn.Sequential(nn.Linear(6, 4), Centred())], num_classes=4, input_shape=(6,))
    export_bundle(network, rule=make_rule("backprop"), optimizer=SGD(), batch_size=8, path=tmp_path / "bundle")
    with pytest.raises(VerifyError, match=r"differs from the chain of blocks by .* and was not written"):
        edgebll.merge(tmp_path / "bundle", tmp_path / "model.onnx", network=network)
    assert not (tmp_path / "model.onnx").exists()


def test_what_cannot_be_merged_is_refused_before_anything_is_written(trained: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    for options, kind, words in (
        ({"batch": 0}, ConfigError, "batch must be at least 1, not 0"),
        ({"batch": "many"}, ConfigError, "batch must be a whole number of samples or dynamic, not 'many'"),
        ({"batch": "\u00b2"}, ConfigError, "batch must be a whole number"),
        ({"batch": "9" * 5000}, ConfigError, "batch must be a whole number"),
        ({"batch": "9" * 18}, ConfigError, "batch must be less than 2147483648"),
        ({"batch": 2.5}, ConfigError, "batch must be a whole number of samples or dynamic, not 2.5"),
        ({"batch": True}, ConfigError, "batch must be a whole number"),
        ({"int8": True, "float16": True}, ConfigError, "int8 or float16, not both"),
        ({"int8": True, "samples": 0}, ConfigError, "samples must be at least 1"),
        ({"int8": True, "data": "digits"}, ValueError, "takes samples of shape \\(1, 6, 6\\), but those of digits have"),
    ):
        with pytest.raises(kind, match=words):
            edgebll.merge(trained, file, **options)
    with pytest.raises(ConfigError, match=r"out must name a file that ends in .onnx, not 'model'"):
        edgebll.merge(trained, tmp_path / "model")
    with pytest.raises(BundleError, match="neither a run nor a bundle"):
        edgebll.merge(tmp_path, file)
    with pytest.raises(StorageError, match="there is no folder"):
        edgebll.merge(trained, "/nowhere/at/all/model.onnx")
    assert not file.exists()


def test_weights_that_are_no_numbers_are_refused(trained: Path, tmp_path: Path) -> None:
    bundle = open_bundle(trained)
    states = {block.name: bundle.state(block.name) for block in bundle.manifest.blocks}
    name = next(name for name in states["block0"] if name.startswith("net.") and name.endswith("weight"))
    states["block0"][name] = np.full_like(states["block0"][name], np.nan)
    write_updated(bundle, states, tmp_path / "bundle", {})
    with pytest.raises(ExportError, match="give NaN or infinite numbers"):
        edgebll.merge(tmp_path / "bundle", tmp_path / "model.onnx")


def test_weights_beyond_float16_are_refused(trained: Path, tmp_path: Path) -> None:
    bundle = open_bundle(trained)
    states = {block.name: bundle.state(block.name) for block in bundle.manifest.blocks}
    last = next(name for name in states["block1"] if name.startswith("net.") and name.endswith("bias"))
    states["block1"][last] = states["block1"][last] + np.float32(1e5)
    write_updated(bundle, states, tmp_path / "bundle", {})
    with pytest.raises(ExportError, match="which float16 does not hold; leave this network in float32"):
        edgebll.merge(tmp_path / "bundle", tmp_path / "model.onnx", float16=True)
