"""Freezing by name: what is found, what becomes of it, and what is refused."""

from __future__ import annotations

import pytest
import torch
from support.untouched_modules import differences, fingerprint
from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.fine_tuning import FineTuning
from edgebll.learning import BLL, SGD, FeedbackAlignment, InfoPro, fine_tuned, make_steps
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.networks.network_copy import copied


def network_of_three() -> BlockNetwork:
    torch.manual_seed(0)
    blocks = [
        nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5)),
        nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1)),
        nn.Sequential(nn.Flatten(), nn.Linear(144, 8), nn.Tanh(), nn.Linear(8, 3)),
    ]
    return BlockNetwork(blocks, 3, (1, 6, 6))


def trained_names(network: BlockNetwork) -> list[str]:
    return [
        f"block{i}.{name}" for i, block in enumerate(network.blocks) for name, p in block.named_parameters() if p.requires_grad
    ]


@pytest.mark.parametrize(
    ("tuning", "trained"),
    [
        (FineTuning(("block0", "block1")), ["block2.1.weight", "block2.1.bias", "block2.3.weight", "block2.3.bias"]),
        (FineTuning(("block[01].*", "block2.1")), ["block2.3.weight", "block2.3.bias"]),
        (FineTuning(trainable="head"), ["block2.3.weight", "block2.3.bias"]),
        (FineTuning(("*.weight",), "head"), ["block2.3.bias"]),
        (FineTuning(("*.bias", "block0", "1*")), ["block1.0.weight", "block1.2.weight", "block2.3.weight"]),
    ],
)
def test_patterns_name_parameters_and_modules(tuning: FineTuning, trained: list[str]) -> None:
    assert trained_names(fine_tuned(network_of_three(), tuning)) == trained


def test_the_network_itself_is_not_changed_and_keeps_its_hooks() -> None:
    network = network_of_three()
    network.blocks[1][0].weight.register_hook(lambda g: g * 0)
    before = fingerprint(network)
    tuned = fine_tuned(network, FineTuning(("block0",)))
    states = [step.initial_state() for step in make_steps(tuned, BLL(), SGD(), 4)]
    assert not differences(before, fingerprint(network))
    assert tuned.blocks[1][0].weight is network.blocks[1][0].weight, "a trained parameter keeps what is registered on it"
    assert tuned.blocks[0][0].weight.data_ptr() == network.blocks[0][0].weight.data_ptr(), "weights are not copied"
    assert states[0] == {}
    assert trained_names(network) == trained_names(network_of_three())


def test_frozen_layers_compute_as_in_evaluation() -> None:
    tuned = fine_tuned(network_of_three(), FineTuning(("block0", "block1.1")))
    assert not any(layer.training for layer in tuned.blocks[0].modules()), "dropout too: nothing in the block trains"
    assert [layer.training for layer in tuned.blocks[1].children()] == [True, False, True]
    steps = make_steps(tuned, BLL(), SGD(), 4)
    assert steps[1].constants.keys() == {f"net.1.{n}" for n in ("weight", "bias", "running_mean", "running_var")}
    assert steps[0].notes[0] == "nothing in it trains: its step is its forward pass"
    assert "layer '1' (BatchNorm2d) is in evaluation mode" in steps[1].notes[0]


def test_a_buffer_that_a_layer_of_ones_own_may_write_into_stays_state() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.calls: torch.Tensor
            self.layer = nn.Linear(4, 4)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls.add_(1)
            found: torch.Tensor = self.layer(x)
            return found

    network = BlockNetwork([Counting(), nn.Linear(4, 3)], 3, (4,))
    step = make_steps(fine_tuned(network, FineTuning(("block0",))), BLL(), SGD(), 2)[0]
    state = step.initial_state()
    for _ in range(2):
        state, _, metrics, _ = step(state, torch.ones(2, 4), torch.eye(3)[:2], {})
    assert {name: value.item() for name, value in state.items()} == {"net.calls": 2.0}
    assert metrics.shape == (0,)


@pytest.mark.parametrize(
    ("tuning", "reason"),
    [
        (FineTuning(("blok0.*",)), r"freeze 'blok0\.\*' means no parameter of the network; near are block0, "),
        (
            FineTuning(("features",)),
            r"freeze 'features' means no parameter of the network; it has, for example, block0, block0\.0",
        ),
        (FineTuning(("block0.2",)), r"freeze 'block0\.2' means no parameter"),
        (FineTuning(("block*",)), "every parameter of the network is frozen, so nothing trains"),
        (FineTuning(("block2",), "head"), "every parameter of the network is frozen, so nothing trains"),
    ],
)
def test_what_cannot_be_frozen_is_refused(tuning: FineTuning, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        fine_tuned(network_of_three(), tuning)


def test_a_network_without_parameters_has_no_head() -> None:
    network = BlockNetwork([nn.Sequential(nn.AvgPool2d(2), nn.Flatten())], 4, (1, 4, 4))
    for tuning in (FineTuning(trainable="head"), FineTuning(trainable="head", adapter="lora")):
        with pytest.raises(ConfigError, match="the network has no parameters, so it has no head to train; end it in a layer"):
            fine_tuned(network, tuning)


def test_plans_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="what is trained must be all or head, not 'tail'"):
        FineTuning(trainable="tail")
    with pytest.raises(ConfigError, match="at least one character"):
        FineTuning(("",))


def test_a_network_follows_one_tuning() -> None:
    tuned = fine_tuned(network_of_three(), FineTuning(("block0",)))
    assert fine_tuned(tuned, FineTuning(("block0",))) is tuned
    with pytest.raises(ConfigError, match="fine-tuned by another tuning already"):
        fine_tuned(tuned, FineTuning(("block1",)))


def test_a_network_frozen_by_hand_is_refused_where_nothing_is_left() -> None:
    network = network_of_three()
    network.requires_grad_(False)
    with pytest.raises(ConfigError, match="every parameter of the network is frozen"):
        make_steps(network, BLL(), SGD(), 4)


def test_a_block_that_python_cannot_copy_is_refused() -> None:
    network = network_of_three()
    network.blocks[0].numbers = (number for number in [1])  # type: ignore[assignment]
    reason = r"block0 cannot be copied, as it must be where parts of it are frozen or have adapters \(.*\); keep open files"
    with pytest.raises(ConfigError, match=reason):
        copied(network, {})


def test_a_frozen_block_hands_the_image_on() -> None:
    network = make_network("resnet8", num_blocks=3, num_classes=10, input_shape=(1, 8, 8), seed=0)
    steps = make_steps(fine_tuned(network, FineTuning(("block0", "block1"))), InfoPro(), SGD(), 4)
    x, y = torch.randn(4, 1, 8, 8), torch.eye(10)[:4]
    assert torch.equal(steps[0]({}, x, y, {}).sent["image"], x)


def test_a_frozen_block_fits_its_part_of_a_chained_feedback_head() -> None:
    """The block before learns from its table, which is the same whether this block trains or not: features alone decide."""
    torch.manual_seed(0)
    blocks = [nn.Sequential(nn.Linear(8, 8), nn.Tanh()) for _ in range(3)]
    network = BlockNetwork([*blocks, nn.Linear(8, 10)], 10, (8,))
    rule = BLL(feedback="chain")
    x, y = torch.randn(4, 8), torch.eye(10)[:4]
    sent = []
    for tuning in (FineTuning(), FineTuning(("block1",))):
        step = make_steps(fine_tuned(network, tuning), rule, SGD(), 4)[1]
        received = {spec.name: torch.ones(spec.shape).cumsum(1) for spec in step.spec.received}
        sent.append(step(step.initial_state(), x, y, {"lr": torch.tensor(0.1)}, received).sent["table"])
    assert sent[0].abs().max() > 0
    assert torch.equal(*sent)


def test_feedback_alignment_trains_a_frozen_networks_rest() -> None:
    network = make_network("mlp", num_blocks=1, num_classes=10, input_shape=(1, 6, 6), seed=0)
    step = make_steps(fine_tuned(network, FineTuning(trainable="head")), FeedbackAlignment(), SGD(), 4)[0]
    assert len(step.trained) == 2
