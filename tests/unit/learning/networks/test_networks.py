"""Networks as sequences of blocks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.networks import EVERY, small_network
from torch import nn
from torch.nn import functional

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.even_partition import partition
from edgebll.learning.modules.seeded_dropout import SeededDropout
from edgebll.learning.networks import NETWORKS, BlockNetwork, build_units, make_network, rebuild_network


@EVERY
@pytest.mark.parametrize("num_blocks", [2, 3, 4])
def test_cutting_changes_nothing_but_the_cuts(name: str, num_blocks: int) -> None:
    whole, cut = small_network(name, num_blocks=1).eval(), small_network(name, num_blocks=num_blocks).eval()
    x = torch.randn(2, *whole.input_shape)
    assert len(cut.blocks) == num_blocks
    assert cut.shapes[0] == whole.input_shape
    assert cut.shapes[-1] == ((10, 7) if NETWORKS[name].inputs == "sequences" else (7,))
    assert torch.equal(whole(x), cut(x))


@EVERY
def test_units_know_their_place_and_can_be_built_again(name: str) -> None:
    """A rebuilt unit, on the input of the unit it resembles and with its stride, gives an output of the same shape."""
    network = small_network(name, num_blocks=2)
    assert [units[-1].output_shape for units in network.placed_units[:-1]] == network.shapes[1:-1]
    shape = network.input_shape
    for unit in [unit for units in network.placed_units for unit in units]:
        if unit.rebuild is not None:
            stride = max(1, shape[-1] // unit.output_shape[-1]) if len(unit.output_shape) > 2 else 1
            assert unit.rebuild(shape, stride)(torch.zeros(2, *shape)).shape[1:] == unit.output_shape
        shape = unit.output_shape
    assert all(unit.rebuild is not None for unit in network.placed_units[1])


@EVERY
def test_a_network_is_built_again_from_its_description(name: str) -> None:
    network = small_network(name, num_blocks=3)
    again = rebuild_network(network.description, network.num_classes, network.input_shape)
    assert again.description == network.description
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    assert {key: value.shape for key, value in again.state_dict().items()} == shapes


def test_a_description_from_before_splits_and_options_is_understood() -> None:
    old = {"name": "resnet8", "options": {"num_blocks": 2}}
    expected = {"width": 16, "stem": "conv", "num_blocks": 2, "split": "3,1"}
    assert rebuild_network(old, 10, (1, 28, 28)).description["options"] == expected


@pytest.mark.parametrize("side", [32, 28])
def test_a_space_to_depth_stem_is_a_3x3_convolution_of_pixels_side_by_side(side: int) -> None:
    """And all later maps have half the side."""
    options = {"width": 4, "stem": "space_to_depth"}
    network = make_network("resnet18", num_blocks=1, num_classes=2, input_shape=(3, side, side), seed=0, options=options)
    stem = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    x = torch.randn(2, 3, side, side)
    # Rows and columns of the 6x6 kernel in pairs: which cell of the 3x3 kernel, and which of the cell's 2x2 pixels.
    cells = stem.weight.detach().reshape(4, 3, 3, 2, 3, 2).permute(0, 1, 3, 5, 2, 4).reshape(4, 12, 3, 3)
    expected = functional.conv2d(functional.pixel_unshuffle(x, 2), cells, padding=1)
    assert stem(x).shape == (2, 4, side // 2, side // 2)
    torch.testing.assert_close(stem(x), expected)


@EVERY
def test_weights_are_those_of_the_seed(name: str) -> None:
    first, second, other = (small_network(name, seed, num_blocks=1).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


#: Parameters at 10 classes and 3 colours (1 for mlp and resnet8), layers with weights, units.
KNOWN = {
    "mlp": (784 * 256 + 3 * 256**2 + 4 * 2 * 256 + 256 * 10 + 10, 5, 4),
    "resnet8": (77_754, 8, 4),
    "resnet18": (11_173_962, 18, 9),
    "resnet50": (23_520_842, 50, 17),
    # Published counts of the 6n + 2 networks without shortcut parameters, and those of two projections with batch norm.
    "resnet32": (464_154 + (16 * 32 + 64) + (32 * 64 + 128), 32, 16),
    "resnet110": (1_727_962 + (16 * 32 + 64) + (32 * 64 + 128), 110, 55),
    # The convolutions of configuration D with batch norm, without the 4,224 biases that batch norm undoes; linear layers.
    "vgg16": (14_723_136 - 4_224 + 2 * (512**2 + 512) + 5_130, 16, 16),
    "alexnet": (
        9 * (3 * 96 + 96 * 256 + 256 * 384 + 384 * 384 + 384 * 256)
        + 2 * (96 + 256 + 384 + 384 + 256)
        + (16 * 256 + 1) * 1024
        + (1024 + 1) * (1024 + 10),
        8,
        8,
    ),
    "spiking-mlp": (128 * 256 + 3 * 256**2 + 4 * 2 * 256 + 256 * 10 + 10, 5, 4),
    "spiking-conv": (
        9 * (2 * 16 + 16 * 32 + 32 * 64 + 64 * 128) + 2 * (16 + 32 + 64 + 128) + 128 * 2 * 2 * 10 + 10,
        5,
        4,
    ),
    "transformer": (
        11 * 64 + 20 * (4 * 65 * 64 + 65 * 128 + 129 * 64 + 4 * 64) + 2 * 64 + 65 * 10,
        20,
        20,
    ),
    "byte-transformer": (
        257 * 128 + 128 * 128 + 6 * (4 * 129 * 128 + 129 * 512 + 513 * 128 + 4 * 128) + 2 * 128 + 129 * 256,
        6,
        6,
    ),
}


@EVERY
def test_sizes_are_the_known_ones(name: str) -> None:
    parameters, layers, count = KNOWN[name]
    shape, classes = NETWORKS[name].example
    network = build_units(name, classes, shape)
    units = [*network.units, *([network.classifier] if network.classifier else [])]
    assert sum(p.numel() for unit in units for p in unit.module.parameters()) == parameters
    assert (network.layers, len(network.units)) == (layers, count)
    if NETWORKS[name].inputs != "sequences":
        found = [m for unit in units for m in unit.module.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
        shortcuts = [m for unit in units for n, m in unit.module.named_modules() if n == "shortcut.0"]
        assert len(found) - len(shortcuts) == layers


@pytest.mark.parametrize("name", ["vgg16", "alexnet"])
@pytest.mark.parametrize("side", [8, 28, 32])
def test_plain_networks_take_small_images(name: str, side: int) -> None:
    options = {"width": 8, "hidden": 6}
    network = make_network(name, split="stages", num_classes=3, input_shape=(1, side, side), seed=0, options=options)
    assert network.shapes[-1] == (3,)
    assert min(shape[-1] for shape in network.shapes[:-1]) >= 1
    dropouts = [m for m in network.modules() if isinstance(m, SeededDropout)]
    assert [m.p for m in dropouts] == [0.5, 0.5]
    assert len({tuple(m.words.tolist()) for m in dropouts}) == 2


def test_building_leaves_the_global_random_state() -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    make_network("mlp", num_blocks=1, num_classes=2, input_shape=(4,), seed=9)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "vgg99"}, "unknown network"),
        ({"num_blocks": 9}, "can be cut into 1 to 4 blocks, not 9"),
        ({"input_shape": (64,)}, "takes images"),
        ({"name": "transformer"}, "takes sequences"),
        ({"options": {"depth": 3}}, "no option 'depth'; it has width"),
        ({"options": {"width": "wide"}}, "width must be an int"),
        ({"options": {"width": 0}}, "at least 1"),
        ({"options": {"stem": "wide"}}, "resnet8's stem must be one of conv, space_to_depth, not 'wide'"),
        ({"name": "vgg16", "options": {"dropout": 1.0}}, "dropout must lie in"),
        ({"name": "transformer", "input_shape": (5, 3), "options": {"positions": "none"}}, "learned or sinusoidal"),
        (
            {"name": "byte-transformer", "input_shape": (5, 3), "options": {"dim": 6, "heads": 4}},
            "must divide its dim, but 6 is not a multiple of 4",
        ),
    ],
)
def test_wrong_requests_are_refused(change: dict[str, Any], words: str) -> None:
    request = {"name": "resnet8", "num_blocks": 2, "num_classes": 10, "input_shape": (1, 28, 28), "seed": 0, **change}
    with pytest.raises(ConfigError, match=words):
        make_network(request.pop("name"), **request)


def test_blocks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="block 1 does not take its input"):
        BlockNetwork([nn.Linear(4, 8), nn.Linear(4, 2)], 2, (4,))
    with pytest.raises(ConfigError, match=r"class scores \(B, 2\).*returns \(B, 8\)"):
        BlockNetwork([nn.Linear(4, 8)], 2, (4,))


@pytest.mark.parametrize("classes", [1, 0, -3])
def test_one_class_is_refused_with_the_cure(classes: int) -> None:
    words = rf"at least two classes apart, not {classes}: .* nothing would learn; .* use num_classes=2"
    with pytest.raises(ConfigError, match=words):
        BlockNetwork([nn.Linear(4, 1)], classes, (4,))
    for name in NETWORKS:
        with pytest.raises(ConfigError, match=words):
            build_units(name, classes, (3, 32, 32))


weights = st.lists(st.integers(1, 9), min_size=1, max_size=9)


@given(weights, st.data())
def test_partition_is_contiguous_complete_and_optimal(weights: list[int], data: st.DataObject) -> None:
    parts = data.draw(st.integers(1, len(weights)))
    ranges = partition(weights, parts)
    assert [i for r in ranges for i in r] == list(range(len(weights)))
    assert all(len(r) > 0 for r in ranges)
    assert len(ranges) == parts

    def best(start: int, left: int) -> int:  # brute force over all cuts
        if left == 1:
            return sum(weights[start:])
        ends = range(start + 1, len(weights) - left + 2)
        return min(max(sum(weights[start:end]), best(end, left - 1)) for end in ends)

    assert max(sum(weights[i] for i in r) for r in ranges) == best(0, parts)


def test_lower_parts_take_the_remainder() -> None:
    assert partition([1] * 7, 3) == [range(3), range(3, 5), range(5, 7)]


@pytest.mark.parametrize("parts", [0, 4])
def test_partition_refuses_impossible_counts(parts: int) -> None:
    with pytest.raises(ConfigError, match="cannot cut 3 layers"):
        partition([1, 1, 1], parts)
