"""Where networks are cut: evenly, after stages, or wherever one likes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.networks import small_network

from edgebll.errors import ConfigError
from edgebll.networks import build_units
from edgebll.networks.unit_network import UnitNetwork

IMAGE = (3, 32, 32)


def sizes(name: str, num_blocks: int | None = None, split: str = "even") -> list[int]:
    return build_units(name, 10, (10, 10) if name == "transformer" else IMAGE).sizes(num_blocks, split)


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
        ("transformer", None, "stages", "transformer has no stages"),
    ],
)
def test_impossible_splits_are_refused(name: str, num_blocks: int | None, split: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        sizes(name, num_blocks, split)
