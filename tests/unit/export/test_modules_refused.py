"""Blocks that no training step can do justice to: refused in one sentence that names the place and the cure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.plain_training import export
from support.untouched_modules import differences, fingerprint
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from edgebll.kernel.errors import ConfigError, EdgebllError, ExportError
from edgebll.learning.networks import BlockNetwork


class Potential(nn.Module):
    """A leaky integrator as spiking libraries have it: its potential is an attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 6)
        self.mem: Any = 0.0

    def forward(self, x: Tensor) -> Tensor:
        self.mem = 0.9 * self.mem + self.a(x)
        return torch.tanh(self.mem)


class InPlace(nn.Module):
    """The same in a plain tensor that is written."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 6)
        self.mem = torch.zeros(6)

    def forward(self, x: Tensor) -> Tensor:
        current = self.a(x)
        self.mem.mul_(0.5).add_(current.detach().mean(0))
        return torch.tanh(current + self.mem)


class Listed(nn.Module):
    """The same in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 6)
        self.past: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.past.append(self.a(x))
        return torch.tanh(torch.stack([value.mean(0) for value in self.past]).mean(0) + self.past[-1])


class Counts(nn.Module):
    """Warms up: what it does depends on how often it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 6)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.a(x) * (0.1 if self.calls < 1000 else 1.0)


class GetsBuffer(nn.Module):
    """State that shows only in forward."""

    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 6)

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "seen"):
            self.register_buffer("seen", torch.zeros(6))
        self.seen = self.seen + self.a(x).detach().mean(0)
        return self.a(x) + self.seen


class TwoOutputs(nn.Module):
    """An auxiliary head in training mode, as GoogLeNet has."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 6), nn.Linear(3, 6)

    def forward(self, x: Tensor) -> Any:
        return (self.a(x), self.b(x)) if self.training else self.a(x)


class TwoInputs(nn.Module):
    """A block that wants a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 6)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.a(x) * mask


class Fails(nn.Module):
    """Raises errors of its own."""

    def __init__(self, error: Exception, only_training: bool = False) -> None:
        super().__init__()
        self.a, self.error, self.only_training = nn.Linear(3, 6), error, only_training

    def forward(self, x: Tensor) -> Tensor:
        if self.training or not self.only_training:
            raise self.error
        return self.a(x)


class Hidden(nn.Module):
    """Reads a weight by a reference that no registry knows."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 6)
        self.refer = (self.a.weight,)

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) + x @ self.refer[0].t()


class Reentrant(nn.Module):
    """The old kind of activation checkpointing."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 8), nn.Linear(8, 6)

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(lambda t: self.b(torch.tanh(t)), self.a(x), use_reentrant=True)


class CheckpointedDropout(nn.Module):
    """Would draw another mask when it is computed again."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.drop, self.b = nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(checkpoint(lambda t: self.drop(torch.tanh(t)), self.a(x), use_reentrant=False))


def accumulating() -> nn.Module:
    """A hook that runs once the gradient lies in the parameter."""
    block = nn.Sequential(nn.Linear(3, 6))
    block[0].weight.register_post_accumulate_grad_hook(lambda p: p.grad.zero_())
    return block


def cumulative() -> nn.Module:
    """Statistics averaged over all batches."""
    return nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6, momentum=None))


def scripted() -> nn.Module:
    """A layer that is no Python module any more."""
    return nn.Sequential(torch.jit.trace(nn.Linear(3, 6), torch.zeros(2, 3)))


REFUSED: dict[str, tuple[Callable[[], nn.Module], type[EdgebllError], str]] = {
    "attribute": (Potential, ConfigError, r"block0: the block \(Potential\) keeps the attribute 'mem'.*register_buffer"),
    "written tensor": (InPlace, ConfigError, r"block0: .*keeps the attribute 'mem'.*register_buffer"),
    "list": (Listed, ConfigError, r"block0: .*keeps the attribute 'past'.*register_buffer"),
    "counter": (Counts, ConfigError, r"block0: .*keeps the attribute 'calls'.*register_buffer"),
    "nested": (lambda: nn.Sequential(Potential()), ConfigError, r"block0: layer '0' \(Potential\) keeps the attribute 'mem'"),
    "buffer made in forward": (GetsBuffer, ConfigError, r"block0: .*keeps the attribute 'seen'"),
    "two outputs": (TwoOutputs, ConfigError, r"block0: it returns a tuple in training mode.*auxiliary outputs"),
    "hidden reference": (Hidden, ExportError, r"block0/step: .*reads the parameter 'a.weight' by a reference"),
    "reentrant checkpoint": (Reentrant, ExportError, r"block0.*use_reentrant"),
    "checkpointed dropout": (CheckpointedDropout, ConfigError, r"block0: dropout cannot lie inside activation checkpointing"),
    "accumulating hook": (accumulating, ConfigError, r"block0: the parameter '0.weight' has a hook.*use register_hook"),
    "cumulative statistics": (cumulative, ConfigError, r"block0: layer '1' \(BatchNorm1d\) has momentum=None.*such as 0.1"),
    "fails in training": (
        lambda: Fails(KeyError("mode"), only_training=True),
        ExportError,
        r"block0 fails on inputs.*KeyError: 'mode' \(in Fails.forward, line \d+ of test_modules_refused.py\)",
    ),
}


@pytest.mark.filterwarnings("ignore:.*use_reentrant.*", "ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_place_and_cure_and_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    make_block, kind, sentence = REFUSED[name]
    block = make_block()
    before = fingerprint(block)
    network = BlockNetwork([block, nn.Linear(6, 3)], num_classes=3, input_shape=(3,))
    with pytest.raises(kind, match=sentence) as caught:
        export(network, tmp_path / "bundle")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "bundle").exists()
    assert not differences(before, fingerprint(block))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_scripted_layer_is_refused(tmp_path: Path) -> None:
    network = BlockNetwork([scripted(), nn.Linear(6, 3)], num_classes=3, input_shape=(3,))
    with pytest.raises(ConfigError, match=r"block0: layer '0' is a scripted module.*give the Python module"):
        export(network, tmp_path / "bundle")


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        (
            TwoInputs(),
            "block0 takes 'mask', which is no input of the network; it has x: name the data's inputs as",
        ),
        (Fails(KeyError("x")), r"block 0 .*KeyError: 'x' \(in Fails.forward, line \d+ of test_modules_refused.py\)"),
        (
            Fails(ZeroDivisionError("by zero")),
            r"ZeroDivisionError: by zero \(in Fails.forward, line \d+ of test_modu",
        ),
        (nn.LSTM(3, 6), r"block 0 must return one float32 tensor with the batch axis first, not a tuple"),
    ],
)
def test_what_fails_at_once_names_the_line(block: nn.Module, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        BlockNetwork([block, nn.Linear(6, 3)], num_classes=3, input_shape=(3,))
