"""Exporting bundles, and verifying them against the eager step."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from support.graphs import run_model
from support.slow import slow_after
from torch import nn

from edgebll.kernel.bundle import open_bundle, write_manifest
from edgebll.kernel.errors import ConfigError, ExportError
from edgebll.learning import BLL, SGD, Backprop, Greedy, Rule, make_steps
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll_export import export_bundle, verify_bundle
from edgebll_export.bundles.block_models import block_models
from edgebll_export.bundles.golden_vectors import eager_records
from edgebll_export.lowering_registry import LOWERINGS


def small_network() -> BlockNetwork:
    torch.manual_seed(0)
    first = nn.Sequential(nn.Conv2d(1, 8, 5, 2, 2), nn.BatchNorm2d(8), nn.LeakyReLU(), nn.MaxPool2d(2))
    last = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=4), nn.ReLU6(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(32, 10))
    return BlockNetwork([first, last], num_classes=10, input_shape=(1, 16, 16))


@pytest.fixture(scope="module")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "small"
    export_bundle(small_network(), rule=BLL(), optimizer=SGD(lr=0.05, momentum=0.9), batch_size=8, path=path)
    return path


@pytest.mark.parametrize(
    ("name", "num_blocks", "rule", "batch_size", "shape"),
    slow_after(
        1,
        [
            ("mlp", 4, BLL(), 32, (1, 28, 28)),
            ("resnet8", 4, BLL(), 32, (1, 28, 28)),
            ("resnet8", 4, Greedy(), 32, (1, 28, 28)),
            ("resnet8", 1, Backprop(), 32, (1, 28, 28)),
            ("resnet8", 2, BLL(pool="max", normalize="center_l2", feedback="ema", decorrelate=0.5), 32, (1, 8, 8)),
            ("resnet8", 2, BLL(pool="std", normalize="layer_norm", feedback="sgd", label_smoothing=0.1), 32, (3, 8, 8)),
            ("resnet18:16", 4, BLL(), 4, (1, 12, 12)),  # of a quarter of its width
        ],
        # What trains greedily or as a whole has graphs that BLL's hold too.
        lambda name, _, rule, *__: name != "resnet8" or isinstance(rule, Greedy | Backprop),
    ),
)
def test_every_block_equals_eager_over_twenty_steps(
    name: str, num_blocks: int, rule: Rule, batch_size: int, shape: tuple[int, ...], tmp_path: Path
) -> None:
    kind, _, width = name.partition(":")
    options = {"width": int(width)} if width else None
    network = make_network(kind, num_blocks=num_blocks, num_classes=10, input_shape=shape, seed=0, options=options)
    export_bundle(network, rule=rule, optimizer=SGD(), batch_size=batch_size, path=tmp_path / "b")
    rows = verify_bundle(tmp_path / "b", steps=20, tolerance=1e-4)
    assert [row for row in rows if row.failed] == []
    step_rows = [row for row in rows if row.graph == "step"]
    assert len(step_rows) == sum(len(block.state) + 2 for block in open_bundle(tmp_path / "b").manifest.blocks)
    # one ReLU that rounding turns over reaches every tensor before it, so without local losses most rows may be at a kink
    assert sum(row.by_rounding for row in step_rows) <= 3 * len(step_rows) // 4


@pytest.mark.parametrize("name", slow_after(1, ["mlp", "resnet8"]))
def test_free_running_loss_curves_lie_on_each_other(name: str) -> None:
    """Each side trains on its own for 20 steps: rounding may move single weights, but not the losses."""
    network = make_network(name, num_blocks=4, num_classes=10, input_shape=(1, 28, 28), seed=0)
    steps = make_steps(network, BLL(), SGD(), 32)
    models = [block_models(step).models["step"] for step in steps]
    states = [{key: value.numpy() for key, value in step.initial_state().items()} for step in steps]
    edges = BLL().edges([step.name for step in steps])
    for records in eager_records(steps, {step.name: step.initial_state() for step in steps}, edges, 20, 0.05):
        x = records[0].x
        for index, record in enumerate(records):
            lr = np.asarray(0.05, np.float32)
            outputs = run_model(models[index], {**states[index], "x": x, "y": record.y, "lr": lr})
            states[index] = {key: outputs[f"{key}.next"] for key in states[index]}
            x = outputs["a"]
            assert outputs["metrics"][0] == pytest.approx(record.metrics[0], rel=0.02)


def test_models_are_plain_onnx(small_bundle: Path) -> None:
    bundle = open_bundle(small_bundle)
    for block in bundle.manifest.blocks:
        for graph in block.graphs:
            model = onnx.load_from_string(bundle.graph(block.name, graph))
            onnx.checker.check_model(model, full_check=True)
            assert {node.domain for node in model.graph.node} == {""}
            assert [opset.version for opset in model.opset_import] == [17]
            assert all(d.dim_value > 0 for v in model.graph.input for d in v.type.tensor_type.shape.dim)
        step = onnx.load_from_string(bundle.graph(block.name, "step"))
        names = [tensor.name for tensor in block.state]
        assert [v.name for v in step.graph.input] == [*names, "x", "y", "lr"]
        assert [v.name for v in step.graph.output] == [*(f"{n}.next" for n in names), "a", "metrics"]


def test_own_networks_export_and_verify(small_bundle: Path) -> None:
    assert [row for row in verify_bundle(small_bundle, network=small_network()) if row.failed] == []
    with pytest.raises(ConfigError, match=r"is in no file that it could be imported from.*network=your_network"):
        verify_bundle(small_bundle)


def test_exporting_twice_gives_the_same_bytes(small_bundle: Path, tmp_path: Path) -> None:
    again = export_bundle(
        small_network(), rule=BLL(), optimizer=SGD(lr=0.05, momentum=0.9), batch_size=8, path=tmp_path / "again"
    )
    assert again.files == open_bundle(small_bundle).manifest.files


def test_a_wrong_graph_is_found(small_bundle: Path, tmp_path: Path) -> None:
    """A step whose learning rate is 5 % too high fails, and not as a kink."""
    import shutil

    shutil.copytree(small_bundle, tmp_path / "b")
    file = tmp_path / "b" / "block0" / "step.onnx"
    model = onnx.load_from_string(file.read_bytes())
    factor = onnx.numpy_helper.from_array(np.asarray(1.05, np.float32), "wrong")
    model.graph.initializer.append(factor)
    for node in model.graph.node:
        node.input[:] = ["lr_wrong" if name == "lr" else name for name in node.input]
    model.graph.node.insert(0, onnx.helper.make_node("Mul", ["lr", "wrong"], ["lr_wrong"]))
    file.write_bytes(model.SerializeToString())
    write_manifest(tmp_path / "b", open_bundle(tmp_path / "b", verify=False).manifest)
    failed = [row for row in verify_bundle(tmp_path / "b", network=small_network()) if row.failed]
    assert any(row.block == "block0" and row.tensor.startswith("net.") for row in failed)
    assert all(row.block == "block0" for row in failed)


def test_an_unknown_operator_is_refused_by_name_and_place(tmp_path: Path) -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.special.i1(x)

    block = nn.Sequential(nn.Linear(4, 10), Odd())
    with pytest.raises(ExportError, match=r"special_i1.*layer '1'.*no lowering"):
        export_bundle(BlockNetwork([block], 10, (4,)), rule=Greedy(), optimizer=SGD(), batch_size=2, path=tmp_path / "b")
    assert not (tmp_path / "b").exists()
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_gradient_is_placed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(LOWERINGS, "aten.gelu_backward.default")
    block = nn.Sequential(nn.Linear(4, 10), nn.GELU())
    with pytest.raises(ExportError, match=r"gelu_backward.*near layer"):
        export_bundle(BlockNetwork([block], 10, (4,)), rule=Greedy(), optimizer=SGD(), batch_size=2, path=tmp_path / "b")


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
def test_data_dependent_control_flow_is_refused(tmp_path: Path) -> None:
    class Branch(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if float(x.sum()) > 0 else -x

    block = nn.Sequential(nn.Linear(4, 10), Branch())
    with pytest.raises(ExportError, match=r"block0/forward needs the value of a tensor .*layer '1', in Branch.forward, line"):
        export_bundle(BlockNetwork([block], 10, (4,)), rule=Greedy(), optimizer=SGD(), batch_size=2, path=tmp_path / "b")


def test_initial_state_and_schedule_are_recorded(small_bundle: Path) -> None:
    manifest = open_bundle(small_bundle).manifest
    assert manifest.recipe["lr"] == 0.05
    assert manifest.rule["name"] == "bll"
    assert manifest.optimizer["nesterov"] is True
    assert [(e.source, e.target) for e in manifest.edges] == [("host", "block0"), ("block0", "block1")]
    assert manifest.blocks[-1].output_role == "logits"
