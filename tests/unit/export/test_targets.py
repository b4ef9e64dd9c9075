"""Targets: forms that suit them, refusals with operator and place, opsets."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from support.graphs import run_model
from support.slow import slow_after
from torch import nn

from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.errors import ConfigError, ExportError
from edgebll.learning import SGD, make_rule
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll_export import export_bundle, make_target, verify_bundle
from edgebll_export.bundles.block_models import check_model
from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.lower_trace import lower
from edgebll_export.lowering_registry import LOWERINGS, lowering
from edgebll_export.targets import MAX_OPSET, MIN_OPSET, TARGETS
from edgebll_export.targets.tensorrt import VERSIONS, support_table
from edgebll_export.tracing.trace import trace


def _bundle(path: Path, target: str, precision: str = "float32", network: BlockNetwork | None = None) -> Path:
    network = network or make_network("resnet8", num_blocks=2, num_classes=4, input_shape=(1, 12, 12), seed=0)
    export_bundle(
        network,
        rule=make_rule("bll"),
        optimizer=SGD(),
        batch_size=8,
        path=path,
        target=make_target(target),
        precision=precision,
    )
    return path


@pytest.mark.parametrize("name", slow_after(1, VERSIONS))
def test_graphs_for_tensorrt_hold_only_what_its_table_lists(name: str, tmp_path: Path) -> None:
    bundle = open_bundle(_bundle(tmp_path / "bundle", name))
    for block in bundle.manifest.blocks:
        for graph in block.graphs:
            model = onnx.load_from_string(bundle.graph(block.name, graph))
            for node in model.graph.node:
                assert support_table().operators[node.op_type].known_to(VERSIONS[name])
                assert node.op_type != "BatchNormalization" or len(node.output) == 1


@pytest.mark.parametrize("precision", slow_after(1, ["float32", "mixed"]))
def test_graphs_for_tensorrt_compute_the_step(precision: str, tmp_path: Path) -> None:
    """They are plain ONNX too: ONNX Runtime agrees with the eager step."""
    rows = verify_bundle(_bundle(tmp_path / "bundle", "tensorrt-8.5", precision), steps=3)
    assert rows
    assert not [row for row in rows if row.failed]


@pytest.mark.parametrize("opset", range(MIN_OPSET, MAX_OPSET + 1))
def test_every_opset_runs(opset: int) -> None:
    """Operators whose form changed between opsets: reductions, splits, pads, batch norm, pooling."""
    block = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())

    def function(values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        a = block(values["x"]).amax(1) + values["x"].mean((1, 2, 3))
        return {"a": a.softmax(0)}

    x = torch.randn(3, 2, 6, 6)
    model, _ = lower(trace(function, {"x": x}, [block]), "test", make_target("onnx", opset))
    check_model(model)
    assert model.opset_import[0].version == opset
    expected = function({"x": x})["a"].detach()
    torch.testing.assert_close(torch.from_numpy(run_model(model, {"x": x.numpy()})["a"]), expected, rtol=1e-4, atol=1e-6)


def test_refusals_name_operator_and_place(tmp_path: Path) -> None:
    """An operator that TensorRT 8.5 does not have, registered for the test, deep inside a network."""
    entry = LOWERINGS["aten.tanh.default"]

    @lowering("aten.tanh.default", family="activation")
    def one_hot(g: GraphBuilder, x: Value) -> Value:
        return g.op("OneHot", [x], x.shape)

    network = BlockNetwork(
        [nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(4, 4), nn.Tanh()), nn.Linear(4, 3))], 3, (1, 2, 2)
    )
    try:
        with pytest.raises(ExportError, match=r"TensorRT 8.5 has no operator OneHot, only version 8.6.*aten.tanh.*layer '1.1'"):
            _export_one(network, tmp_path)
    finally:
        LOWERINGS["aten.tanh.default"] = entry


def _export_one(network: BlockNetwork, path: Path) -> None:
    export_bundle(
        network,
        rule=make_rule("backprop"),
        optimizer=SGD(),
        batch_size=2,
        path=path / "bundle",
        target=make_target("tensorrt-8.5"),
    )


@pytest.mark.parametrize(
    ("target", "operator", "dtypes", "outputs", "attributes", "reason"),
    [
        ("tensorrt-8.6", "OneHot", ["int64"], 1, {}, None),
        ("tensorrt-8.5", "LayerNormalization", ["float32"], 1, {}, "only version 10"),
        ("tensorrt-10", "LayerNormalization", ["float32"], 1, {}, None),
        ("tensorrt-11", "SoftmaxCrossEntropyLoss", ["float32"], 2, {}, "has no operator"),
        ("tensorrt-8.6", "Conv", ["bfloat16"], 1, {}, "does not compute in bfloat16"),
        ("tensorrt-10", "Conv", ["bfloat16"], 1, {}, None),
        ("tensorrt-10", "Conv", ["float64"], 1, {}, "does not compute in float64"),
        ("tensorrt-10", "Relu", ["int32"], 1, {}, "takes no int32 in Relu"),
        ("tensorrt-10", "MaxPool", ["float32"], 2, {}, "no indices"),
        ("tensorrt-10", "MaxPool", ["float32"], 1, {"dilations": [2, 2]}, "no dilation"),
        ("tensorrt-11", "BatchNormalization", ["float32"], 1, {"training_mode": 1}, "training mode"),
        ("tensorrt-8.5", "Cast", ["uint8"], 1, {"to": onnx.TensorProto.FLOAT}, None),
        ("tensorrt-8.6", "Cast", ["uint8"], 1, {"to": onnx.TensorProto.FLOAT16}, None),
        ("tensorrt-10", "Cast", ["uint8"], 1, {"to": onnx.TensorProto.INT32}, "no uint8 in Cast; convert it with .float()"),
        ("tensorrt-8.5", "Cast", ["float32"], 1, {"to": onnx.TensorProto.UINT8}, None),
        ("tensorrt-10", "Cast", ["int32"], 1, {"to": onnx.TensorProto.UINT8}, "casts no int32 to uint8"),
        ("tensorrt-10", "Where", ["bool", "uint8", "uint8"], 1, {}, "takes no uint8 in Where"),
        ("tensorrt-11", "Transpose", ["uint8"], 1, {"perm": [1, 0]}, "takes no uint8 in Transpose"),
        ("onnx", "BatchNormalization", ["float32"], 3, {"training_mode": 1}, None),
        ("onnx", "Conv", ["bfloat16"], 1, {}, "no bfloat16"),
    ],
)
def test_support_table(
    target: str, operator: str, dtypes: list[str], outputs: int, attributes: dict[str, object], reason: str | None
) -> None:
    found = make_target(target).refusal(operator, dtypes, outputs, attributes)
    assert found is None if reason is None else reason in (found or "")


def test_precisions_a_target_lacks_are_refused(tmp_path: Path) -> None:
    for target in ("onnx", "tensorrt-8.6"):
        with pytest.raises(ExportError, match=f"{target} does not compute in bfloat16; it has float32, mixed"):
            _bundle(tmp_path / "bundle", target, "bfloat16")
    assert not (tmp_path / "bundle").exists()


def test_unknown_targets_and_opsets() -> None:
    with pytest.raises(ConfigError, match=f"one of {', '.join(TARGETS)}, not 'tensorrt'"):
        make_target("tensorrt")
    with pytest.raises(ConfigError, match="between 17 and 23, but is 16"):
        make_target("onnx", 16)
    with pytest.raises(ConfigError, match="has opset 17"):
        make_target("tensorrt-8.5", 18)
