"""Networks as sequences of blocks, and where they are cut."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from edgebll.errors import ConfigError
from edgebll.networks import NETWORKS, BlockNetwork, make_network
from edgebll.partition import partition


@pytest.mark.parametrize("name", list(NETWORKS))
@pytest.mark.parametrize("num_blocks", [1, 2, 3, 4])
def test_cutting_changes_nothing_but_the_cuts(name: str, num_blocks: int) -> None:
    whole = make_network(name, num_blocks=1, num_classes=7, input_shape=(3, 16, 16), seed=5).eval()
    cut = make_network(name, num_blocks=num_blocks, num_classes=7, input_shape=(3, 16, 16), seed=5).eval()
    x = torch.randn(2, 3, 16, 16)
    assert len(cut.blocks) == num_blocks
    assert cut.shapes[0] == (3, 16, 16)
    assert cut.shapes[-1] == (7,)
    assert torch.equal(whole(x), cut(x))


@pytest.mark.parametrize("name", list(NETWORKS))
def test_units_know_their_place_and_can_be_built_again(name: str) -> None:
    """A rebuilt unit, on the input of the unit it resembles and with its stride, gives maps of the same shape."""
    network = make_network(name, num_blocks=2, num_classes=7, input_shape=(3, 16, 16), seed=0)
    assert [units[-1].output_shape for units in network.placed_units[:-1]] == network.shapes[1:-1]
    shape = network.input_shape
    for unit in [unit for units in network.placed_units for unit in units]:
        if unit.rebuild is not None:
            stride = shape[-1] // unit.output_shape[-1] if len(unit.output_shape) > 1 else 1
            again = unit.rebuild(shape, stride)
            x = torch.zeros(2, *shape) if len(unit.output_shape) > 1 else torch.zeros(2, *shape).flatten(1)
            assert again(x).shape[1:] == unit.output_shape
        shape = unit.output_shape
    assert shape != network.input_shape


def test_resnet18_has_eighteen_layers() -> None:
    network = make_network("resnet18", num_blocks=1, num_classes=10, input_shape=(1, 28, 28), seed=0)
    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    projections = [m for m in layers if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]
    assert len(layers) - len(projections) == 18


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
    ],
)
def test_wrong_requests_are_refused(change: dict, words: str) -> None:
    request = {"name": "resnet8", "num_blocks": 2, "num_classes": 10, "input_shape": (1, 28, 28), "seed": 0, **change}
    with pytest.raises(ConfigError, match=words):
        make_network(request.pop("name"), **request)


def test_blocks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="block 1 does not take its input"):
        BlockNetwork([nn.Linear(4, 8), nn.Linear(4, 2)], 2, (4,))
    with pytest.raises(ConfigError, match="class scores"):
        BlockNetwork([nn.Linear(4, 8)], 2, (4,))


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
