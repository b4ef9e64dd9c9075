"""The pure step against a network trained with plain PyTorch modules, autograd and torch.optim."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edgebll.kernel.errors import ConfigError
from edgebll.learning import BLL, SGD, Backprop, Greedy, Rule, make_steps
from edgebll.learning.networks import BlockNetwork, make_network


def batches(count: int, shape: tuple[int, ...]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(3)
    eye = torch.eye(10)
    return [
        (torch.randn(8, *shape, generator=generator), eye[torch.randint(10, (8,), generator=generator)]) for _ in range(count)
    ]


def train_pure(network: BlockNetwork, rule: Rule, optimizer: SGD, steps: int) -> list[dict[str, torch.Tensor]]:
    blocks = make_steps(network, rule, optimizer, 8)
    states = [block.initial_state() for block in blocks]
    for x, y in batches(steps, network.input_shape):
        for index, block in enumerate(blocks):
            states[index], x, _, _ = block(states[index], x, y, {"lr": torch.tensor(optimizer.lr)})
    return states


def test_greedy_equals_detached_modules_with_torch_optim() -> None:
    network = make_network("resnet8", num_blocks=3, num_classes=10, input_shape=(1, 12, 12), seed=0)
    optimizer = SGD(lr=0.02, momentum=0.9, nesterov=True, weight_decay=1e-3)
    states = train_pure(network, Greedy(head_size=1), optimizer, 4)
    blocks = copy.deepcopy(network.blocks).train()
    initial = [step.initial_state() for step in make_steps(network, Greedy(head_size=1), optimizer, 8)]
    heads = [nn.Linear(network.shapes[k + 1][0], 10) for k in range(2)]
    for head, state in zip(heads, initial, strict=False):
        head.load_state_dict({"weight": state["head.weight"], "bias": state["head.bias"]})
    modules = [*(nn.ModuleList([b, h]) for b, h in zip(blocks, heads, strict=False)), blocks[2]]
    optims = [torch.optim.SGD(m.parameters(), lr=0.02, momentum=0.9, nesterov=True, weight_decay=1e-3) for m in modules]
    for x, y in batches(4, network.input_shape):
        for index, optim in enumerate(optims):
            a = blocks[index](x)
            logits = a if index == 2 else heads[index](a.mean((2, 3)))
            optim.zero_grad()
            F.cross_entropy(logits, y).backward()
            optim.step()
            x = a.detach()
    for block, state in zip(blocks, states, strict=True):
        for name, value in block.state_dict().items():
            if "num_batches" not in name:
                assert torch.allclose(state[f"net.{name}"], value, rtol=1e-4, atol=1e-6), name


def test_backprop_equals_end_to_end_training() -> None:
    network = make_network("mlp", num_blocks=1, num_classes=10, input_shape=(1, 6, 6), seed=0)
    states = train_pure(network, Backprop(), SGD(lr=0.1, momentum=0.0, nesterov=False, weight_decay=0.0), 3)
    module = copy.deepcopy(network).train()
    optim = torch.optim.SGD(module.parameters(), lr=0.1)
    for x, y in batches(3, (1, 6, 6)):
        optim.zero_grad()
        F.cross_entropy(module(x), y).backward()
        optim.step()
    for name, value in module.blocks[0].state_dict().items():
        if "num_batches" not in name:
            assert torch.allclose(states[0][f"net.{name}"], value, rtol=1e-4, atol=1e-6), name


def test_the_step_is_pure() -> None:
    network = make_network("resnet8", num_blocks=4, num_classes=10, input_shape=(1, 12, 12), seed=0)
    step = make_steps(network, BLL(), SGD(), 8)[1]
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    state = step.initial_state()
    kept = {name: value.clone() for name, value in state.items()}
    x, y = torch.randn(step.spec.input.shape), torch.eye(10)[torch.arange(8)]
    first = step(state, x, y, {"lr": torch.tensor(0.1)})
    second = step(state, x, y, {"lr": torch.tensor(0.1)})
    assert all(torch.equal(state[name], kept[name]) for name in kept)
    assert all(torch.equal(first[0][name], second[0][name]) for name in kept)
    assert torch.equal(first[2], second[2])
    assert all(torch.equal(weights[name], value) for name, value in network.state_dict().items())
    assert not any(value.requires_grad for value in first[0].values())
    assert any(not torch.equal(first[0][name], kept[name]) for name in kept if "running_mean" in name)


def test_forward_uses_running_statistics_and_changes_nothing() -> None:
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 6, 6), seed=0)
    step = make_steps(network, BLL(), SGD(), 8)[0]
    state = step.initial_state()
    x = torch.randn(8, 1, 6, 6)
    together, alone = step.forward(state, x), step.forward(state, x[:1])
    assert torch.allclose(together[:1], alone, atol=1e-6)
    assert torch.allclose(together, copy.deepcopy(network).eval().blocks[0](x), atol=1e-6)


def test_signature_names_state_by_role() -> None:
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 6, 6), seed=0)
    spec = make_steps(network, BLL(), SGD(), 8)[0].spec
    assert {tensor.name.split(".")[0] for tensor in spec.state} == {"net", "head", "feedback", "momentum"}
    assert spec.metrics == ("loss", "loss_match", "loss_pred")
    assert not any("num_batches_tracked" in tensor.name for tensor in spec.state)
    assert spec.beta is not None
    assert spec.beta.shape == (8, 256)


def test_a_parameter_the_loss_ignores_is_named() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Linear(4, 10), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x)

    network = BlockNetwork([Idle()], 10, (4,))
    step = make_steps(network, Backprop(), SGD(), 2)[0]
    with pytest.raises(ConfigError, match=r"does not depend on the parameter 'net.idle.weight'"):
        step(step.initial_state(), torch.randn(2, 4), torch.eye(10)[:2], {"lr": torch.tensor(0.1)})


def test_frozen_parameters_stay() -> None:
    block = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 10))
    block[0].requires_grad_(False)
    step = make_steps(BlockNetwork([block], 10, (4,)), Backprop(), SGD(), 2)[0]
    state = step.initial_state()
    new = step(state, torch.randn(2, 4), torch.eye(10)[:2], {"lr": torch.tensor(0.1)}).state
    assert new.keys() == state.keys() == {f"{kind}net.1.{name}" for kind in ("", "momentum.") for name in ("weight", "bias")}
    assert not torch.equal(new["net.1.weight"], state["net.1.weight"])
    assert {name: value.tolist() for name, value in step.constants.items()} == {
        f"net.0.{name}": value.tolist() for name, value in block[0].named_parameters()
    }


def test_backprop_refuses_several_blocks() -> None:
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 6, 6), seed=0)
    with pytest.raises(ConfigError, match="backprop trains one block, not 2"):
        make_steps(network, Backprop(), SGD(), 8)
