"""Where networks are cut: evenly, after stages, or wherever one likes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.networks import small_network
from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks import NETWORKS, build_units
from edgebll.learning.networks.activation_memory import activation_bytes
from edgebll.learning.networks.unit_network import UnitNetwork

IMAGE = (3, 32, 32)


def sizes(name: str, num_blocks: int | None = None, split: str = "even") -> list[int]:
    return build_units(name, 10, (10, 10) if NETWORKS[name].inputs == "sequences" else IMAGE).sizes(num_blocks, split)


def test_resnet50_has_four_bottlenecks_a_block() -> None:
    """The stem goes with the first block, the classifier with the last: 13, 12, 12 and 13 layers."""
    assert sizes("resnet50", 4) == [5, 4, 4, 4]
    assert sizes("resnet50", split="stages") == [4, 4, 6, 3]


@pytest.mark.parametrize(
    ("name", "num_blocks", "expected"),
    [
        ("resnet110", 16, [4] * 7 + [3] * 9),
        ("resnet110", 8, [7] * 7 + [6]),
        ("resnet110", 4, [14, 14, 14, 13]),
        ("resnet110", 2, [28, 27]),
        ("resnet32", 16, [1] * 16),
        ("resnet32", 8, [2] * 8),
        ("resnet32", 4, [4] * 4),
        ("resnet32", 2, [8, 8]),
        ("vgg16", 16, [1] * 16),
        ("vgg16", 8, [2] * 8),
        ("vgg16", 4, [4] * 4),
        ("vgg16", 2, [8, 8]),
        ("alexnet", 8, [1] * 8),
        ("alexnet", 4, [2] * 4),
        ("alexnet", 2, [4, 4]),
        *[("transformer", k, [20 // k] * k) for k in (1, 2, 4, 5, 10, 20)],
    ],
)
def test_even_splits_are_those_of_the_papers(name: str, num_blocks: int, expected: list[int]) -> None:
    assert sizes(name, num_blocks) == expected


@pytest.mark.parametrize(
    ("name", "maps"),
    [("resnet18", [16, 8, 4, 2]), ("resnet32", [16, 8, 4]), ("vgg16", [8, 4, 2, 1]), ("alexnet", [8, 4])],
)
def test_stages_end_where_maps_get_smaller(name: str, maps: list[int]) -> None:
    """The side of each block's output; the last one gives class scores."""
    network = small_network(name, split="stages")
    found = [shape[1] for shape in network.shapes[1:-1]]
    assert found == (maps[:-1] if name.startswith("resnet") else maps)


def test_memory_is_what_the_backward_pass_reads() -> None:
    """Of a linear layer its input, of a ReLU its output, which the next layer's input shares; weights not at all."""
    units = [nn.Sequential(nn.Linear(3, 5), nn.ReLU()), nn.Sequential(nn.Linear(5, 7), nn.ReLU(inplace=True)), nn.Linear(7, 2)]
    before = [value.clone() for unit in units for value in unit.state_dict().values()]
    assert activation_bytes(units, (3,)) == [4 * (3 + 5), 4 * (5 + 7), 4 * 7]
    assert all(map(torch.equal, before, (value for unit in units for value in unit.state_dict().values())))


def test_batch_normalisation_counts_its_input_and_keeps_its_averages() -> None:
    norm = nn.BatchNorm2d(2)
    statistics = 2 * 2 / 2  # means and deviations of both channels, shared by the two samples that are tried
    assert activation_bytes([norm], (2, 4, 4)) == [4 * (2 * 4 * 4 + statistics)]
    assert not norm.running_mean.any()
    assert norm.num_batches_tracked == 0


@pytest.mark.parametrize("name", ["resnet8", "resnet32", "vgg16", "alexnet", "transformer"])
@pytest.mark.parametrize("blocks", [2, 4])
def test_memory_splits_have_the_smallest_largest_block(name: str, blocks: int) -> None:
    """Of all splits; and a good deal smaller than an even one where maps shrink."""
    network = build_units(name, 10, (10, 10) if NETWORKS[name].inputs == "sequences" else IMAGE)
    weights = activation_bytes([unit.module for unit in network.units], network.input_shape)

    def largest(parts: Sequence[int]) -> float:
        ends = list(itertools.accumulate(parts))
        return max(sum(weights[end - part : end]) for part, end in zip(parts, ends, strict=True))

    count = len(weights)
    cuts = itertools.combinations(range(1, count), blocks - 1)
    every = [[b - a for a, b in itertools.pairwise((0, *cut, count))] for cut in cuts]
    found = network.sizes(blocks, "memory")
    assert largest(found) == pytest.approx(min(map(largest, every)), rel=0.02)  # the classifier is with the last unit
    if name in ("resnet32", "vgg16"):
        assert largest(found) < 0.85 * largest(network.sizes(blocks))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["resnet8", "transformer", "alexnet"]), st.data())
def test_any_split_computes_the_same(name: str, data: st.DataObject) -> None:
    whole = small_network(name, num_blocks=1).eval()
    left, parts = len(whole.placed_units[0]), []
    while left:
        parts.append(data.draw(st.integers(1, left)))
        left -= parts[-1]
    split = ",".join(map(str, parts))
    cut = small_network(name, split=split).eval()
    assert [len(units) for units in cut.placed_units] == parts
    assert (cut.description["options"]["num_blocks"], cut.description["options"]["split"]) == (len(parts), split)
    x = torch.randn(2, *whole.input_shape)
    assert torch.equal(whole(x), cut(x))


@given(st.integers(1, 30), st.data())
def test_even_splits_by_units_differ_by_one_and_the_first_are_longer(count: int, data: st.DataObject) -> None:
    units = build_units("mlp", 2, (3,), {"depth": count, "width": 1})
    network = UnitNetwork(units.units, units.classifier, 2, (3,), "mlp", by_units=True)
    parts = data.draw(st.integers(1, count))
    assert network.sizes(parts) == [count // parts + (index < count % parts) for index in range(parts)]


@pytest.mark.parametrize(
    ("name", "num_blocks", "split", "words"),
    [
        ("resnet18", None, "1,3,4", "resnet18 has 9 units, but the split 1,3,4 distributes 8"),
        ("resnet18", None, "0,9", "at least 1"),
        ("resnet18", None, "-1,10", "at least 1"),
        ("resnet18", None, "half", "not 'half'"),
        ("resnet18", None, "", "number of units of each block"),
        ("resnet18", 3, "stages", "makes 4 blocks, not 3"),
        ("resnet18", None, "even", "1 to 9 blocks, not None"),
        ("resnet18", 0, "even", "1 to 9 blocks, not 0"),
        ("resnet18", None, "memory", "1 to 9 blocks, not None"),
        ("transformer", None, "stages", "transformer has no stages"),
    ],
)
def test_impossible_splits_are_refused(name: str, num_blocks: int | None, split: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        sizes(name, num_blocks, split)
