"""int8 forward graphs: plain ONNX, symmetric and per channel, accurate, dropped when the weights change."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from edgebll.data import load_dataset
from edgebll.data.bundle_evaluation import evaluate_bundle
from edgebll.kernel.bundle import INT8_GRAPH, open_bundle, write_updated
from edgebll.kernel.errors import BundleError, ConfigError, DataError
from edgebll.learning import SGD, make_rule, make_steps
from edgebll.learning.networks import make_network
from edgebll_devices.runtimes.int8_forward import Int8Forward
from edgebll_export import export_bundle
from edgebll_export.bundles.quantize import quantize_bundle

BATCH = 32


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A resnet8 that knows some digits, as a bundle, and beside it the quantised one."""
    data = load_dataset("digits", "train")
    network = make_network("resnet8", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0)
    rule, optimizer = make_rule("bll"), SGD()
    steps = make_steps(network, rule, optimizer, BATCH)
    states = {step.name: step.initial_state() for step in steps}
    for start in range(0, 40 * BATCH, BATCH):
        indices = np.arange(start, start + BATCH) % len(data)
        x, y = torch.from_numpy(data.inputs(indices)), torch.from_numpy(data.targets(indices))
        for step in steps:
            states[step.name], x, _, _ = step(states[step.name], x, y, {"lr": torch.tensor(0.05)})
    path = tmp_path_factory.mktemp("int8") / "float"
    export_bundle(network, rule=rule, optimizer=optimizer, batch_size=BATCH, path=path, states=states)
    quantize_bundle(path, path.with_name("int8"), data.inputs(np.arange(8 * BATCH)), data="digits")
    return path


def test_accuracy_stays(trained: Path) -> None:
    data = load_dataset("digits", "test")
    plain = evaluate_bundle(open_bundle(trained), data)["accuracy"]
    quantised = evaluate_bundle(open_bundle(trained.with_name("int8")), data, int8=True)["accuracy"]
    assert plain > 0.8
    assert abs(plain - quantised) < 0.02


def test_every_product_is_int8_symmetric_and_per_channel(trained: Path) -> None:
    for block in ("block0", "block1"):
        model = onnx.load_from_string(open_bundle(trained.with_name("int8")).graph(block, INT8_GRAPH))
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        makers = {name: node for node in model.graph.node for name in node.output}
        products = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
        assert products
        for node in products:
            assert [makers[name].op_type for name in node.input[:2]] == ["DequantizeLinear"] * 2
            weight, scale, _ = makers[node.input[1]].input
            assert constants[weight].dtype == np.int8
            assert constants[scale].size > 1
        pairs = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
        zeros = [node.input[2] for node in pairs]
        assert zeros
        assert all(not constants[name].any() for name in zeros)
        assert {opset.domain for opset in model.opset_import} == {""}
        assert "BatchNormalization" not in {node.op_type for node in model.graph.node}


def test_float_graphs_and_state_are_kept(trained: Path) -> None:
    before, after = open_bundle(trained).manifest, open_bundle(trained.with_name("int8")).manifest
    assert before.files.items() <= after.files.items()
    assert after.recipe["int8"] == {"data": "digits", "samples": 8 * BATCH}


def test_new_weights_drop_the_int8_graphs(trained: Path, tmp_path: Path) -> None:
    source = open_bundle(trained.with_name("int8"))
    write_updated(source, {block.name: source.state(block.name) for block in source.manifest.blocks}, tmp_path / "new", {})
    with pytest.raises(BundleError, match="no int8 graphs"):
        Int8Forward(open_bundle(tmp_path / "new"), "block0")


def test_too_few_samples_are_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least one batch of 32"):
        quantize_bundle(trained, tmp_path / "out", np.zeros((3, 1, 8, 8), np.float32))
    with pytest.raises(DataError, match=r"samples of shape \(1, 8, 8\), not float32 of shape \(8, 8, 1\)"):
        quantize_bundle(trained, tmp_path / "out", np.zeros((64, 8, 8, 1), np.float32))
    assert not (tmp_path / "out").exists()
