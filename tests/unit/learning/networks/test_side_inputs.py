"""Networks that read more of a sample than x: which block reads what, and what cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.learning import BLL, SGD, BackLink, make_steps
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.networks.inputs import Inputs

SIDE = (TensorSpec("readings", "float32", (5,)), TensorSpec("mask", "bool", (4,)))


class Reads(nn.Module):
    """A block that reads readings and a mask."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.own, self.others = nn.Linear(features, width), nn.Linear(9, width)

    def forward(self, x: Tensor, readings: Tensor, mask: Tensor, scale: float = 1.0) -> Tensor:
        return torch.relu(self.own(x) + scale * self.others(torch.cat([readings, mask.float()], 1)))


class Late(Reads):
    """One that reads only the mask."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        return torch.relu(self.own(x)) * mask.float().mean(1, keepdim=True)


def network(*blocks: nn.Module, **options: Any) -> BlockNetwork:
    side = {"readings": (5,), "mask": Inputs((4,), "bool")}
    return BlockNetwork(blocks, num_classes=3, input_shape=(7,), **{"side_inputs": side, **options})


def plain(*, width: int = 8) -> nn.Module:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU())


def test_blocks_read_what_their_arguments_are_called() -> None:
    made = network(Reads(7, 8), plain(), Late(8, 8), nn.Linear(8, 3))
    assert made.reads == [("readings", "mask"), (), ("mask",), ()]
    specs = [step.spec for step in make_steps(made, BLL(), SGD(), batch_size=4)]
    shapes = {"readings": TensorSpec("readings", "float32", (4, 5)), "mask": TensorSpec("mask", "bool", (4, 4))}
    assert [spec.received for spec in specs] == [(shapes["readings"], shapes["mask"]), (), (shapes["mask"],), ()]
    x, readings, mask = torch.randn(2, 7), torch.randn(2, 5), torch.rand(2, 4) > 0.5
    blocks = made.eval().blocks
    expected = blocks[3](blocks[2](blocks[1](blocks[0](x, readings, mask)), mask))
    assert torch.equal(made(x, readings=readings, mask=mask), expected)


def test_examples_of_all_inputs_are_of_the_same_samples() -> None:
    count = torch.arange(6.0)[:, None]
    examples = {"x": count.expand(6, 7), "readings": count.expand(6, 5), "mask": torch.ones(6, 4, dtype=torch.bool)}
    made = network(Reads(7, 8), nn.Linear(8, 3), example_inputs=examples)
    drawn = made.inputs.draw_all(4, np.random.default_rng(0))
    assert torch.equal(drawn["x"][:, 0], drawn["readings"][:, 0])
    assert len(set(drawn["x"][:, 0].tolist())) == 4, "each at most once"
    with pytest.raises(ConfigError, match="examples must be of x, readings, mask, not of x, readings"):
        network(Reads(7, 8), nn.Linear(8, 3), example_inputs={"x": count.expand(6, 7), "readings": count.expand(6, 5)})


class Behind(nn.Module):
    """An input behind an argument that is none."""

    def forward(self, x: Tensor, scale: float = 1.0, mask: Tensor | None = None, readings: Tensor | None = None) -> Tensor:
        return x * scale


@pytest.mark.parametrize(
    ("blocks", "side", "sentence"),
    [
        (
            [plain()],
            {"readings": (5,)},
            "no block reads the input 'readings'; give the forward of one an argument of that name",
        ),
        (
            [Reads(7, 8)],
            {"readings": (5,)},
            "block0 takes 'mask', which is no input of the network; it has x, readings: name the",
        ),
        ([Reads(7, 8)], {}, "block0 takes 'readings', which is no input of the network; it has x:"),
        ([Behind()], {"mask": (4,)}, "block0 takes 'mask' behind arguments that are no inputs; put them right after the first"),
        ([plain()], {"lr": (1,)}, "an input cannot be named 'lr': names are those of arguments, other than x, y, a"),
        ([plain()], {"block0.told": (1,)}, "an input cannot be named 'block0.told'"),
        ([Reads(7, 8)], {"readings": (6,), "mask": (4,)}, "block 0 does not take its input of shape"),
    ],
)
def test_what_cannot_be_read_is_refused(blocks: list[nn.Module], side: dict[str, tuple[int, ...]], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        network(*blocks, nn.Linear(8, 3), side_inputs=side)


def test_rules_and_networks_that_cannot_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"backlink lets a block run the last units .* reads readings, mask too"):
        make_steps(network(Reads(7, 8), nn.Linear(8, 3)), BackLink(), SGD(), batch_size=4)
    with pytest.raises(
        ConfigError, match="mlp takes x alone, but the data have readings, mask besides; give a network of your own"
    ):
        make_network("mlp", num_blocks=2, num_classes=3, input_shape=(7,), seed=0, side_inputs=SIDE)
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self, num_classes, side_inputs):\n"
        "        assert side_inputs == {'readings': (5,), 'mask': (4,)}\n"
        "        super().__init__(7, num_classes)\n"
        "    def forward(self, x, readings, mask):\n"
        "        return super().forward(x) + readings.sum(1, keepdim=True) * mask.float().mean(1, keepdim=True)\n"
    )
    name = f"{tmp_path}/net.py:Net"
    whole = make_network(name, num_blocks=1, num_classes=3, input_shape=(7,), seed=0, side_inputs=SIDE)
    assert (whole.reads, whole.cut_from) == ([("readings", "mask")], (whole.blocks[0],))
    with pytest.raises(
        ConfigError, match=r"is one module, and the data have readings, mask besides x, .* train it in one block"
    ):
        make_network(name, num_blocks=2, num_classes=3, input_shape=(7,), seed=0, side_inputs=SIDE)
