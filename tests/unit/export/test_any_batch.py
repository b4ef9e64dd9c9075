"""One graph for any batch size, of networks that turn the batch into other sizes, against the modules themselves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from torch import Tensor, nn

from edgebll.kernel.errors import ExportError
from edgebll.learning import SGD, make_rule, make_steps
from edgebll.learning.networks import BlockNetwork
from edgebll_export.bundles.block_models import check_model
from edgebll_export.merged.any_batch import AXIS, FIRST, SECOND, any_batch
from edgebll_export.merged.check import outputs
from edgebll_export.merged.forward_graphs import TrainedBlock
from edgebll_export.merged.join import join


class ClassToken(nn.Module):
    """A learnt token in front of each sequence, then attention: Expand and folded heads."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.attention, self.last = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
        result: Tensor = self.last(self.attention(x, x, x, need_weights=False)[0][:, 0])
        return result


class Positions(nn.Module):
    """Numbers of positions for every sample, and samples folded into positions: repeated constants and sums of sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        batch, count, size = x.shape
        places = torch.arange(count).expand(batch, count).unsqueeze(-1)
        rows = (x + places).reshape(batch * count, size)
        result: Tensor = self.last(rows * torch.ones(len(rows), 1)).reshape(batch, count, 4).mean(1)
        return result


class Recurrent(nn.Module):
    """A hidden state of zeros for each sample."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.last = nn.GRU(8, 6, batch_first=True), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.last(self.rows(x)[0][:, -1])
        return result


def norms() -> list[nn.Module]:
    """Group, instance and layer norm, which need a number for each sample, in two blocks."""
    first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.InstanceNorm2d(8), nn.ReLU())
    return [first, nn.Sequential(nn.AdaptiveAvgPool2d((3, 2)), nn.Flatten(), nn.LayerNorm(48), nn.Linear(48, 4))]


def made_for(network: BlockNetwork, batch: int) -> onnx.ModelProto:
    """The network as one model of a fixed batch."""
    rule = make_rule("backprop" if len(network.blocks) == 1 else "bll")
    steps = make_steps(network, rule, SGD(), 8)
    states = [{name: value.numpy() for name, value in step.initial_state().items()} for step in steps]
    blocks = [TrainedBlock(module, step.spec, state) for module, step, state in zip(network.blocks, steps, states, strict=True)]
    return join([block.graph(batch) for block in blocks], [step.name for step in steps], "logits", "whole")


@pytest.mark.parametrize(
    ("blocks", "shape"),
    [
        (lambda: [ClassToken()], (5, 8)),
        (lambda: [Positions()], (5, 8)),
        (lambda: [Recurrent()], (3, 8)),
        (norms, (3, 5, 6)),
    ],
    ids=["class token", "positions", "recurrent", "norms"],
)
def test_any_number_of_samples_gives_what_the_modules_give(
    blocks: Callable[[], list[nn.Module]], shape: tuple[int, ...]
) -> None:
    torch.manual_seed(3)
    network = BlockNetwork(blocks(), num_classes=4, input_shape=shape)
    model = any_batch(made_for(network, FIRST), made_for(network, SECOND))
    check_model(model)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == AXIS
    assert {node.op_type for node in model.graph.node}.isdisjoint({"BatchNormalization"}), "norms of a sample need no batch"
    x = torch.randn(32, *shape)
    network.eval()
    with torch.no_grad():
        expected = network(x).numpy()
    network.train()
    for sizes in ((1, 7, 24), (32,)):
        np.testing.assert_allclose(np.asarray(outputs(model, {"x": x.numpy()}, sizes), np.float32), expected, atol=3e-6)


def test_what_depends_on_the_batch_in_another_way_is_refused() -> None:
    def model(batch: int, numbers: list[float], operator: str = "Add") -> onnx.ModelProto:
        kind = onnx.TensorProto.FLOAT
        values = [helper.make_tensor_value_info(name, kind, [batch, 2]) for name in ("x", "logits")]
        constant = helper.make_tensor("c", kind, [len(numbers)], numbers)
        node = helper.make_node(operator, ["x", "c"], ["logits"])
        return helper.make_model(helper.make_graph([node], "odd", values[:1], values[1:], [constant]))

    for first, second in (
        (model(FIRST, [1 / FIRST]), model(SECOND, [1 / SECOND])),
        (model(FIRST, [1.0]), model(SECOND, [1.0], "Mul")),
        (model(FIRST, list(range(FIRST))), model(SECOND, list(range(SECOND)))),
    ):
        with pytest.raises(ExportError, match=r"odd is another graph for another batch size; .* --batch 1"):
            any_batch(first, second)
    with pytest.raises(ExportError, match="'x' has no batch axis"):
        any_batch(model(5, [1.0]), model(5, [1.0]))
