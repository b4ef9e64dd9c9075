"""Greedy learning, DGL and AugLocal: their auxiliary networks, losses and gradients, against nets written out by hand."""

from __future__ import annotations

import pytest
import torch
from support import naive
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning import BLL, DGL, SGD, AugLocal, BlockPlace, Greedy, make_steps
from edgebll.learning.networks import BlockNetwork, PlacedUnit, make_network
from edgebll.learning.networks.mlp import MLP
from edgebll.learning.networks.resnet import BasicBlock

CLASSES = 4
#: Class 0 has one sample, class 2 none.
LABELS = [0, 1, 1, 3, 3]
Y = naive.one_hot(LABELS, CLASSES)


def linear_bn_relu(x: Tensor, weights: naive.Weights, linear: str, norm: str) -> Tensor:
    x = naive.linear(x, weights[f"{linear}.weight"])
    return naive.relu(naive.batch_norm(x, weights[f"{norm}.weight"], weights[f"{norm}.bias"]))


def conv_bn(x: Tensor, weights: naive.Weights, conv: str, norm: str, stride: int = 1) -> Tensor:
    kernel = weights[f"{conv}.weight"]
    x = naive.convolution(x, kernel, stride, kernel.shape[2] // 2)
    return naive.batch_norm(x, weights[f"{norm}.weight"], weights[f"{norm}.bias"])


def classify(x: Tensor, weights: naive.Weights, layer: str) -> Tensor:
    return naive.cross_entropy(naive.linear(x, weights[f"{layer}.weight"], weights[f"{layer}.bias"]), LABELS)


def test_greedy_with_a_linear_classifier() -> None:
    def loss(a: Tensor, weights: naive.Weights) -> Tensor:
        logits = naive.linear(naive.cells(a, 3).reshape(len(LABELS), -1), weights["weight"], weights["bias"])
        return naive.cross_entropy(logits, LABELS, smoothing=0.1)

    objective = Greedy(head_size=3, label_smoothing=0.1).objective(BlockPlace(0, 2, (2, 5, 5), CLASSES))
    naive.check(objective, loss, naive.normal(len(LABELS), 2, 5, 5), Y)


@pytest.mark.parametrize(("side", "stride", "width"), [(4, 1, 2), (9, 2, 4)])
def test_greedy_with_a_convolutional_classifier(side: int, stride: int, width: int) -> None:
    """Maps beyond 8 pixels are halved and their channels doubled."""

    def loss(a: Tensor, weights: naive.Weights) -> Tensor:
        assert weights["0.weight"].shape == (width, 2, 3, 3)
        x = naive.cells(naive.relu(conv_bn(a, weights, "0", "1", stride)), 1).reshape(len(LABELS), -1)
        x = naive.relu(naive.linear(x, weights["5.weight"], weights["5.bias"]))
        return classify(x, weights, "7")

    objective = Greedy(classifier="conv", hidden=8).objective(BlockPlace(0, 2, (2, side, side), CLASSES))
    naive.check(objective, loss, naive.normal(len(LABELS), 2, side, side), Y)


def test_the_convolutional_classifier_of_features_is_its_linear_layers() -> None:
    def loss(a: Tensor, weights: naive.Weights) -> Tensor:
        return classify(naive.relu(naive.linear(a, weights["0.weight"], weights["0.bias"])), weights, "2")

    objective = Greedy(classifier="conv", hidden=3).objective(BlockPlace(0, 2, (6,), CLASSES))
    naive.check(objective, loss, naive.normal(len(LABELS), 6), Y)


def test_dgl_on_maps() -> None:
    """Pool to a quarter, three 1x1 convolutions, pool to 2x2, three linear layers, the classifier."""

    def loss(a: Tensor, weights: naive.Weights) -> Tensor:
        x = naive.cells(a, 3)
        for layer in (1, 4, 7):
            assert weights[f"{layer}.weight"].shape == (2, 2, 1, 1)
            x = naive.relu(conv_bn(x, weights, str(layer), str(layer + 1)))
        x = naive.cells(x, 2).reshape(len(LABELS), -1)
        for layer in (12, 15, 18):
            x = linear_bn_relu(x, weights, str(layer), str(layer + 1))
        return classify(x, weights, "21")

    objective = DGL().objective(BlockPlace(0, 2, (2, 9, 9), CLASSES))
    naive.check(objective, loss, naive.normal(len(LABELS), 2, 9, 9), Y)


def test_dgl_on_features() -> None:
    def loss(a: Tensor, weights: naive.Weights) -> Tensor:
        x = linear_bn_relu(linear_bn_relu(a, weights, "0", "1"), weights, "3", "4")
        return classify(x, weights, "6")

    objective = DGL(hidden_layers=2).objective(BlockPlace(0, 2, (5,), CLASSES))
    naive.check(objective, loss, naive.normal(len(LABELS), 5), Y)


def test_the_conv_head_of_bll_on_maps() -> None:
    """Pool to half a side, one 3x3 convolution, batch norm and ReLU, pool to 2x2 cells, the classifier."""

    def loss(a: Tensor, weights: naive.Weights) -> Tensor:
        assert weights["1.weight"].shape == (2, 2, 3, 3)
        x = naive.relu(conv_bn(naive.cells(a, 4), weights, "1", "2"))
        return classify(naive.cells(x, 2).reshape(len(LABELS), -1), weights, "4")

    objective = BLL(match=0.0, head="conv", head_size=2).objective(BlockPlace(0, 2, (2, 8, 8), CLASSES))
    naive.check(objective, loss, naive.normal(len(LABELS), 2, 8, 8), Y)


def test_the_conv_head_of_bll_without_space_is_linear() -> None:
    def loss(a: Tensor, weights: naive.Weights) -> Tensor:
        return naive.cross_entropy(naive.linear(a, weights["weight"], weights["bias"]), LABELS)

    objective = BLL(match=0.0, head="conv").objective(BlockPlace(0, 2, (5,), CLASSES))
    naive.check(objective, loss, naive.normal(len(LABELS), 5), Y)


def test_auglocal_on_features() -> None:
    """A unit of the MLP follows; at depth 1 it is followed by batch norm and the classifier."""

    def loss(a: Tensor, weights: naive.Weights) -> Tensor:
        x = linear_bn_relu(a, weights, "0.0", "0.1")
        return classify(naive.batch_norm(x, weights["1.weight"], weights["1.bias"]), weights, "2")

    network = MLP(width=4, depth=2).build(CLASSES, (3,)).cut(2)
    objective = AugLocal(depth=1).objective(BlockPlace.of(network, 0))
    naive.check(objective, loss, naive.normal(len(LABELS), 4), Y)


def test_auglocal_on_maps() -> None:
    """Two residual units follow; the first one widens and halves the map."""

    def block(x: Tensor, weights: naive.Weights, name: str, stride: int) -> Tensor:
        hidden = naive.relu(conv_bn(x, weights, f"{name}.conv1", f"{name}.bn1", stride))
        hidden = conv_bn(hidden, weights, f"{name}.conv2", f"{name}.bn2")
        if f"{name}.shortcut.0.weight" in weights:
            x = conv_bn(x, weights, f"{name}.shortcut.0", f"{name}.shortcut.1", stride)
        return naive.relu(hidden + x)

    def loss(a: Tensor, weights: naive.Weights) -> Tensor:
        x = block(block(a, weights, "0", 2), weights, "1", 1)
        return classify(naive.cells(x, 1).reshape(len(LABELS), -1), weights, "4")

    unit = PlacedUnit((3, 2, 2), lambda shape, stride: BasicBlock(shape[0], 3, stride))
    objective = AugLocal().objective(BlockPlace(0, 3, (2, 4, 4), CLASSES, 1, (unit, unit)))
    naive.check(objective, loss, naive.normal(len(LABELS), 2, 4, 4), Y)


def place(index: int, num_blocks: int, num_units: int, total: int) -> BlockPlace:
    network = make_network("mlp", num_blocks=2, num_classes=4, input_shape=(4,), seed=0)
    return BlockPlace(index, num_blocks, (4,), 4, num_units, (network.placed_units[1][0],) * (total - num_units))


@pytest.mark.parametrize(
    ("depth", "shrink", "index", "blocks", "expected"),
    [
        (6, 0.5, 0, 16, [2, 5, 8, 10, 12, 15]),  # round(15 j / 6): 2.5, 5, 7.5, 10, 12.5 and 15, halves to even numbers
        (6, 0.5, 14, 16, [15]),
        (6, 0.5, 7, 16, [9, 10, 12, 13, 15]),  # 6 (1 - 1/4) + 1/4 = 4.75, so 5 of 8 units: 7 + 8 j / 5
        (6, 0.0, 7, 16, [8, 10, 11, 12, 14, 15]),  # 7 + 8 j / 6
        (1, 0.5, 3, 16, [15]),
        (9, 0.0, 8, 16, [9, 10, 11, 12, 13, 14, 15]),  # all there are
    ],
)
def test_auglocal_samples_later_units_evenly(depth: int, shrink: float, index: int, blocks: int, expected: list[int]) -> None:
    """ResNet-32 has 16 units; here each is a block."""
    assert AugLocal(depth=depth, shrink=shrink).sampled(place(index, blocks, index + 1, 16)) == expected


def test_auglocal_depths_fall_with_two_blocks_too() -> None:
    assert AugLocal(depth=3).depth_at(0, 2) == 3
    assert [AugLocal(depth=4).depth_at(k, 5) for k in range(4)] == [4, 4, 3, 2]  # 4, 3.5, 3, 2.5
    assert [AugLocal(depth=5, shrink=1.0).depth_at(k, 4) for k in range(3)] == [5, 3, 1]


def test_auglocal_defers_a_second_halving() -> None:
    """The only unit sampled has a quarter of the block's side, but units halve maps once."""
    network = make_network("resnet8", num_blocks=4, num_classes=4, input_shape=(1, 16, 16), seed=0)
    net = AugLocal(depth=1).auxiliary(BlockPlace.of(network, 1))
    assert network.shapes[2] == (16, 16, 16)
    assert network.placed_units[3][0].output_shape == (64, 4, 4)
    assert (net[0].conv1.in_channels, net[0].conv1.out_channels, net[0].conv1.stride) == (16, 64, (2, 2))


def test_auglocal_needs_to_know_the_units() -> None:
    blocks = [nn.Linear(4, 4), nn.Linear(4, 4)]
    with pytest.raises(ConfigError, match="whose units can be built again"):
        make_steps(BlockNetwork(blocks, 4, (4,)), AugLocal(), SGD(), 2)


@pytest.mark.parametrize("options", [{"depth": 0}, {"shrink": 1.5}])
def test_auglocal_refuses_wrong_options(options: dict) -> None:
    with pytest.raises(ConfigError, match="depth must be at least 1"):
        AugLocal(**options)


def test_greedy_and_dgl_refuse_wrong_options() -> None:
    with pytest.raises(ConfigError, match="linear or conv, not 'mlp'"):
        Greedy(classifier="mlp")
    with pytest.raises(ConfigError, match="at least 1"):
        Greedy(head_size=0)
    with pytest.raises(ConfigError, match="at least 1"):
        DGL(cells=0)


def test_the_shapes_of_sequences() -> None:
    """Outputs (F, L) have heads too: convolutions over their one axis."""
    a = torch.randn(3, 6, 12)
    for rule in (Greedy(), Greedy(classifier="conv"), DGL()):
        assert rule.objective(BlockPlace(0, 2, (6, 12), CLASSES)).head()(a).shape == (3, CLASSES)
