"""Every rule but those named trains blocks that read side inputs, as docs/explanation/tasks.md says: what reads them learns."""

from __future__ import annotations

import pytest
import torch
from support.rules import DENSE
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.side_inputs import carrying, read_by
from edgebll.learning import SGD, SideStreams, make_rule, make_steps
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.step_tensors import scalar_tensors

BATCH = 6


class Reads(nn.Module):
    """Features of maps, shifted by what is read."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.maps, self.read = nn.Conv2d(channels, 8, 3, 1, 1), nn.Linear(5, 8)

    def forward(self, x: Tensor, readings: Tensor) -> Tensor:
        return torch.relu(self.maps(x) + self.read(readings)[:, :, None, None])


class Whole(nn.Module):
    """A network in one block."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = Reads(1), nn.Linear(8, 3)

    def forward(self, x: Tensor, readings: Tensor) -> Tensor:
        found: Tensor = self.last(self.first(x, readings).mean((2, 3)))
        return found


def network(rule: str) -> BlockNetwork:
    torch.manual_seed(0)
    last = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    blocks: list[nn.Module] = [Whole()] if DENSE[rule].one_block else [Reads(1), Reads(8), last]
    return BlockNetwork(blocks, num_classes=3, input_shape=(1, 8, 8), side_inputs={"readings": (5,)})


#: Rules that refuse, and what they say.
REFUSED = {
    "backlink": "for networks that read x alone, but this one reads readings too",
    "auglocal": "auglocal needs a network whose units can be built again",
    "man": "man lends the first layer of block1 to the block before, and finds it in an nn.Sequential or a single layer, not",
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_others_say_why_they_cannot(name: str) -> None:
    with pytest.raises(ConfigError, match=REFUSED[name]):
        make_steps(network(name), make_rule(name), SGD(lr=0.1), batch_size=BATCH)


@pytest.mark.parametrize("name", sorted({*DENSE} - {*REFUSED}))
def test_what_reads_a_side_input_learns_from_it(name: str) -> None:
    rule, made = make_rule(name), network(name)
    steps = make_steps(made, rule, SGD(lr=0.1), batch_size=BATCH)
    specs = [step.spec for step in steps]
    streams = SideStreams(specs, carrying(rule.edges([spec.name for spec in specs]), specs))
    a, y = torch.randn(BATCH, 1, 8, 8), torch.eye(3)[torch.arange(BATCH) % 3]
    side = {"readings": torch.randn(BATCH, 5)}
    for step in steps:
        state = step.initial_state()
        received = streams.take(step.name) | read_by(step.spec, side)
        stepped = step(state, a, y, scalar_tensors({"lr": 0.1}), received)
        streams.put(step.name, stepped.sent)
        for tensor in (name for name in state if name.endswith("read.weight")):
            assert not torch.equal(stepped.state[tensor], state[tensor])
        a = stepped.a
    expected = made.eval()(torch.zeros(2, 1, 8, 8), readings=side["readings"][:2])
    assert expected.shape == (2, 3)
