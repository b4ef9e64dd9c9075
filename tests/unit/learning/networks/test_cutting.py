"""Any module in blocks: the same function in a row, the user's own layers under their own names, cut where it can be."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from support.own_modules import CLASSES, SHAPE, AsksForMode, Counts, Draws, FollowsValues, Looks, SmallResNet, Wrapped, hook
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.networks.cutting.cut_module import cut_module


@pytest.fixture(scope="module")
def model() -> SmallResNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SmallResNet()


def cut(module: nn.Module, blocks: int | None = None, split: str = "even") -> BlockNetwork:
    return cut_module(module, "net.py:Net", blocks, split, CLASSES, SHAPE)


def run(parts: Any, x: Tensor, training: bool) -> Tensor:
    """Modules in a row, with the same dropout each time."""
    torch.manual_seed(7)
    for part in parts:
        x = part.train(training)(x)
    return x


@pytest.mark.parametrize(
    ("blocks", "split"),
    [(2, "even"), (6, "even"), (3, "memory"), (None, "stages"), (None, "2,2,2"), (None, "stem")],
)
def test_blocks_in_a_row_are_the_module(model: SmallResNet, blocks: int | None, split: str) -> None:
    network = cut(model, blocks, split)
    x = torch.randn(4, *SHAPE)
    with torch.random.fork_rng(), torch.no_grad():
        for training in (False, True):
            assert torch.equal(run(network.blocks, x, training), run([model], x, training))
    assert network.shapes[-1] == (CLASSES,)
    assert len(network.blocks) == (blocks or {"stages": 2, "2,2,2": 3, "stem": 2}[split])


def test_layers_are_the_users_own_under_their_own_names(model: SmallResNet) -> None:
    own = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    found: dict[str, Tensor] = {}
    for block in cut(model, 4).blocks:
        found |= {**dict(block.named_parameters()), **dict(block.named_buffers())}
    assert found.keys() == own.keys()
    assert all(found[name] is own[name] for name in own)


def macs(network: BlockNetwork) -> list[int]:
    """Multiply-accumulates of each block, by the formulas of a convolution and a linear layer."""
    counted: list[int] = []

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        counted[-1] += layer.weight[0].numel() * output[0].numel()

    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    x = torch.zeros(2, *SHAPE)
    for block in network.blocks:
        counted.append(0)
        x = block.eval()(x)
    for handle in handles:
        handle.remove()
    return counted


@pytest.mark.parametrize("blocks", [2, 3, 4])
def test_no_cut_into_as_many_blocks_has_a_cheaper_largest_one(model: SmallResNet, blocks: int) -> None:
    units = macs(cut(model, 6))
    best = min(
        max(sum(units[a:b]) for a, b in itertools.pairwise((0, *ends, len(units))))
        for ends in itertools.combinations(range(1, len(units)), blocks - 1)
    )
    assert max(macs(cut(model, blocks))) == best


def test_a_shipped_network_is_cut_by_cost_too() -> None:
    def made(count: int, split: str) -> BlockNetwork:
        options = {"width": 4}
        return make_network(
            "resnet18", num_blocks=count, num_classes=CLASSES, input_shape=SHAPE, seed=0, split=split, options=options
        )

    units = macs(made(9, "even"))
    best = min(
        max(sum(units[a:b]) for a, b in itertools.pairwise((0, *ends, len(units))))
        for ends in itertools.combinations(range(1, len(units)), 2)
    )
    assert max(macs(made(3, "auto"))) == best < max(macs(made(3, "even")))


def test_a_cut_by_names_is_remembered_by_names(model: SmallResNet) -> None:
    network = cut(model, None, "body.layer1, body.layer2.0")
    assert network.description["options"] == {"num_blocks": 3, "split": "body.layer1,body.layer2.0"}
    assert network.shapes == [SHAPE, (8, 8, 8), (16, 4, 4), (CLASSES,)]
    again = cut(model, 3, network.description["options"]["split"])
    assert [list(block.state_dict()) for block in again.blocks] == [list(block.state_dict()) for block in network.blocks]
    assert cut(model, 4).description["options"]["split"] == "body.layer1.0,body.layer1,body.layer2.0"


def test_layers_whose_names_are_numbers_are_not_taken_for_numbers_of_units() -> None:
    layers = [nn.Flatten(), *(nn.Linear(64, 64) for _ in range(5)), nn.Linear(64, CLASSES)]
    network = cut(nn.Sequential(*layers), 3)
    assert network.description["options"] == {"num_blocks": 3, "split": "even"}
    assert [next(iter(block.state_dict())) for block in network.blocks] == ["1.weight", "3.weight", "5.weight"]


def test_an_inner_model_is_looked_into_only_where_that_is_needed_and_possible(model: SmallResNet) -> None:
    assert len(cut(Wrapped(model), 5).blocks) == 5
    assert any(isinstance(layer, SmallResNet) for layer in cut(Wrapped(model), None, "first,inner").modules())
    closed = Wrapped(AsksForMode())
    assert [type(layer).__name__ for layer in cut(closed, 3).blocks[1].children()] == ["AsksForMode"]
    hooked = Wrapped(SmallResNet())
    hooked.inner.register_forward_hook(hook)
    assert any(isinstance(layer, SmallResNet) for layer in cut(hooked, 3).modules())
    with pytest.raises(ConfigError, match="1 to 3 blocks, not 4"):
        cut(hooked, 4)


def _hooked() -> nn.Module:
    module = SmallResNet()
    module.register_forward_hook(hook)
    return module


_PLACES = "stem, body.layer1.0, body.layer1, body.layer2.0, body, drop"


@pytest.mark.parametrize(
    ("make", "blocks", "split", "sentence"),
    [
        (SmallResNet, 7, "even", "it can be cut into 1 to 6 blocks, not 7"),
        (SmallResNet, None, "1,1", "it has 6 units, but the split 1,1 distributes 2; give numbers of at least 1"),
        (SmallResNet, None, "nope", f"it has no layer 'nope'; cut it after {_PLACES}"),
        (SmallResNet, None, "head", "'head' is its end, after which nothing is left for a block; cut it after"),
        (SmallResNet, 2, "stem,body", "stem,body makes 3 blocks, not 2; leave the number of blocks out"),
        (SmallResNet, None, "body,stem", "body,stem must name different places in the order of the network"),
        (
            SmallResNet,
            None,
            "body.layer1.1.bn1",
            "after 'body.layer1.1.bn1' more than its result is needed (body.layer1.0 and body.layer1.1.bn1), as inside of a "
            "residual; cut it after",
        ),
        (AsksForMode, 2, "even", "its forward asks for self.training, which a part of it could not"),
        (FollowsValues, 2, "even", "what its forward does cannot be followed: TraceError"),
        (Counts, 2, "even", "its forward changes 'calls' of itself (Counts), which a part of it could not; keep in layers"),
        (Draws, 2, "even", "what its forward does differs from call to call, as where it draws numbers in Python; use tensors"),
        (Looks, 2, "even", "in evaluation its blocks in a row would not compute what it does; give a list of blocks instead"),
        (_hooked, 2, "even", "it has hooks, which would not run once it is cut inside; put them on its layers"),
        (lambda: nn.Linear(3, 2), 2, "even", "it does not take samples of shape (1, 8, 8): RuntimeError"),
    ],
)
def test_what_cannot_be_cut_is_one_sentence(make: Any, blocks: int | None, split: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        cut(make(), blocks, split)
    assert str(caught.value).startswith(f"net.py:Net cannot be cut: {sentence}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [AsksForMode, FollowsValues, _hooked])
def test_as_one_block_any_module_is_taken_as_it_is(make: Any) -> None:
    module = make()
    (block,) = cut(module, 1).blocks
    assert block is module


def test_nothing_of_the_users_is_changed(model: SmallResNet) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [layer.training for layer in model.train().modules()]
    cut(model, 4)
    cut(model, None, "stages")
    assert [layer.training for layer in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
