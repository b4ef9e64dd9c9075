"""Trained weights under a module's own keys: loaded strictly, the module is the network that was trained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.command_calls import call, sentence
from support.exported import mixed, mlp
from torch import Tensor, nn

import edgebll
from edgebll.kernel.bundle import open_bundle, write_updated
from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.state.block_state import State
from edgebll.learning import SGD, make_rule, make_steps
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.networks.cutting.cut_module import cut_module
from edgebll.learning.training.module_state import module_state
from edgebll.learning.training.trained_network import TrainedNetwork


class Tied(nn.Module):
    """A module of one's own: a layer by two names, tied weights, counters, a buffer that is not kept and a frozen layer."""

    seen: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(6, 6), nn.BatchNorm1d(6)
        self.again = self.first
        self.inner, self.outer = nn.Linear(6, 6, bias=False), nn.Linear(6, 6)
        self.outer.weight = self.inner.weight
        self.frozen = nn.Linear(6, 6).requires_grad_(False)
        self.register_buffer("scale", torch.ones(6), persistent=False)
        self.register_buffer("seen", torch.zeros(6))
        self.last = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.again(self.first(x)) * self.scale))
        result: Tensor = self.last(self.frozen(self.outer(self.inner(x) + self.seen)))
        return result


def cut(module: Tied) -> BlockNetwork:
    """Its layers in two blocks."""

    class Front(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = module.first
            self.other, self.norm = module.again, module.norm

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.norm(self.other(self.part(x))))

    class Back(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.outer, self.frozen, self.last = module.inner, module.outer, module.frozen, module.last
            self.register_buffer("seen", module.seen)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.last(self.frozen(self.outer(self.inner(x) + self.seen)))
            return result

    return BlockNetwork([Front(), Back()], num_classes=3, input_shape=(6,))


def learnt(network: BlockNetwork) -> TrainedNetwork:
    """Some steps of the network's training, and what they made of it."""
    steps = make_steps(network, make_rule("greedy"), SGD(lr=0.1), 8)
    states: dict[str, State] = {}
    generator = torch.Generator().manual_seed(0)
    for step in steps:
        state = step.initial_state()
        for _ in range(3):
            x = torch.randn(step.spec.input.shape, generator=generator)
            y = torch.eye(3)[torch.randint(0, 3, (8,), generator=generator)]
            state = dict(step(state, x, y, {"lr": torch.tensor(0.1)}).state)
        states[step.name] = {name: value.numpy() for name, value in state.items()}
    specs = tuple(step.spec for step in steps)
    constants = {step.name: {name: value.numpy() for name, value in step.constants.items()} for step in steps}
    return TrainedNetwork(
        Path("run"), specs, states, constants, {"name": "own"}, "greedy", 3, None, {}, "float32", None, network
    )


def by_steps(trained: TrainedNetwork, x: Tensor) -> Tensor:
    """What the trained steps evaluate to, by the step itself."""
    network = trained.network
    assert network is not None
    for step in make_steps(network, make_rule("greedy"), SGD(), 8):
        x = step.forward({name: torch.from_numpy(value) for name, value in trained.states[step.name].items()}, x)
    return x


@pytest.mark.parametrize("whole", [False, True], ids=["in blocks", "uncut"])
def test_a_module_of_ones_own_takes_its_weights_back_strictly(whole: bool) -> None:
    torch.manual_seed(1)
    module = Tied()
    network = cut(module)
    trained = learnt(network)
    found = module_state(trained, network, module if whole else None)
    torch.manual_seed(2)
    other = Tied()
    fresh: nn.Module = other if whole else cut(other)
    assert fresh.load_state_dict(found, strict=True).missing_keys == []
    x = torch.randn(8, 6)
    expected = by_steps(trained, x)
    assert not torch.allclose(cut(module).eval()(x), expected, atol=1e-3), "training moved it"
    with torch.no_grad():
        torch.testing.assert_close((cut(other) if whole else fresh).eval()(x), expected)
    pointers = [value.data_ptr() for value in found.values()]
    assert len(set(pointers)) == len(pointers), "every name has a tensor of its own"


def test_a_shipped_network_takes_the_weights_of_a_bundle_and_of_a_file(tmp_path: Path) -> None:
    bundle = mlp(tmp_path / "bundle")
    states = {block.name: bundle.state(block.name) for block in bundle.manifest.blocks}
    for state in states.values():
        state.update({name: value + np.float32(0.25) for name, value in state.items() if value.dtype == np.float32})
    write_updated(bundle, states, tmp_path / "trained", {})
    file = tmp_path / "weights.safetensors"
    told = json.loads(call("state", tmp_path / "trained", "-o", file, "--json").stdout)
    network = make_network("mlp", num_blocks=2, num_classes=5, input_shape=(1, 6, 6), seed=7)
    loaded = load_file(file)
    network.load_state_dict(loaded, strict=True)
    assert told["strict"] is True
    assert sorted(told["keys"]) == sorted(network.state_dict())
    for name, value in edgebll.state_dict(tmp_path / "trained").items():
        assert torch.equal(value, network.state_dict()[name])
    first = next(name for name in states["block0"] if name.startswith("net."))
    np.testing.assert_array_equal(loaded[f"blocks.0.{first.removeprefix('net.')}"].numpy(), states["block0"][first])


def test_weights_of_a_network_that_is_not_known_keep_the_names_of_blocks(tmp_path: Path) -> None:
    path, file = mixed(tmp_path / "bundle").path, tmp_path / "weights.safetensors"
    result = call("state", path, "-o", file)
    assert "the code of the network 'custom' is not known here" in result.stderr
    state = open_bundle(path).state("block0")
    assert torch.equal(load_file(file)["blocks.0.0.weight"], torch.from_numpy(state["net.0.weight"]))
    with pytest.raises(ConfigError, match=r"made in Python .* keys are not known here; give it as network="):
        edgebll.state_dict(path)


def test_a_module_that_was_cut_gives_its_own_keys() -> None:
    module = nn.Sequential()
    for name, size in (("first", 8), ("second", 8), ("third", 3)):
        module.add_module(name, nn.Linear(6 if name == "first" else 8, size))
    network = cut_module(module, "own", None, "first", 3, (6,))
    trained = learnt(network)
    found = module_state(trained, network)
    assert list(found) == list(module.state_dict())
    assert not list(network.state_dict().keys() & found.keys())
    expected = by_steps(trained, x := torch.randn(8, 6))
    module.load_state_dict(found, strict=True)
    with torch.no_grad():
        torch.testing.assert_close(module(x), expected)


def test_a_module_with_copies_of_the_layers_is_refused() -> None:
    network = cut(Tied())
    with pytest.raises(ConfigError, match=r"does not hold block0's 'part\.weight'; give the module whose own layers"):
        module_state(learnt(network), network, Tied())


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = mlp(tmp_path / "bundle").path
    for network, words in (
        (make_network("mlp", num_blocks=1, num_classes=5, input_shape=(1, 6, 6), seed=0), "has 1 blocks, but .* with 2"),
        (
            make_network("mlp", num_blocks=2, num_classes=5, input_shape=(1, 5, 5), seed=0),
            r"\[256, 36\], and this network has it",
        ),
        (
            BlockNetwork([nn.Sequential(nn.Flatten(), nn.Linear(36, 5)), nn.Linear(5, 5)], 5, (1, 6, 6)),
            "no weights for '1.weight'",
        ),
    ):
        with pytest.raises((BundleError, ConfigError), match=words):
            edgebll.state_dict(path, network=network)
    assert "must name a file that ends in .safetensors, not 'w.pt'" in sentence(call("state", path, "-o", "w.pt", code=2))
