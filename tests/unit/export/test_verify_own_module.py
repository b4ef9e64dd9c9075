"""Verification compares with the user's own module trained by autograd: what step and graph get wrong alike is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.plain_training import export, network_of
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from edgebll.kernel.errors import BundleError, ExportError
from edgebll.learning import MAN, SGD, BackLink, Rule, make_steps
from edgebll.learning.modules.differentiation import Differentiation
from edgebll.learning.modules.pure_module import PureModule
from edgebll.learning.networks import BlockNetwork
from edgebll_export import export_bundle, verify_bundle
from edgebll_export.bundles.own_module_step import OwnModuleStep


def hooked() -> nn.Module:
    """A gradient hook."""
    block = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 6))
    block[0].weight.register_hook(lambda g: 0.5 * g)
    return block


def frozen() -> nn.Module:
    """A batch norm in evaluation mode."""
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8).eval(), nn.Tanh(), nn.Linear(8, 6))


class Checkpointed(nn.Module):
    """Reads its weights again in the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.o = nn.Linear(3, 8), nn.Linear(8, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.o(checkpoint(lambda t: torch.tanh(self.a(t)), x, use_reentrant=False))


def without_hooks(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PureModule, "hooks", lambda *_: [])


def all_in_training(patch: pytest.MonkeyPatch) -> None:
    make = PureModule.__init__

    def made(pure: PureModule, module: nn.Module, prefix: str) -> None:
        make(pure, module, prefix)
        pure.modes = dict.fromkeys(pure.modes, True)

    patch.setattr(PureModule, "__init__", made)


def gradients_too_late(patch: pytest.MonkeyPatch) -> None:
    """The module has its own tensors back when gradients are taken."""
    take = Differentiation.gradients
    slots: list[Any] = []
    own: list[Tensor] = []

    def late(self: Differentiation, loss: Tensor, leaves: list[Tensor]) -> object:
        if type(self) is not Differentiation:
            return take(self, loss, leaves)
        swapped = [(slot, slot.holder[slot.key]) for slot in slots]
        for slot, tensor in zip(slots, own, strict=True):
            slot.holder[slot.key] = tensor
        try:
            return take(self, loss, leaves)
        finally:
            for slot, tensor in swapped:
                slot.holder[slot.key] = tensor

    make = PureModule.__init__

    def made(pure: PureModule, module: nn.Module, prefix: str) -> None:
        make(pure, module, prefix)
        if prefix == "net.":
            slots.extend(pure.slots)
            own.extend(slot.holder[slot.key] for slot in pure.slots)

    patch.setattr(PureModule, "__init__", made)
    patch.setattr(Differentiation, "gradients", late)


@pytest.mark.parametrize(
    ("make_block", "fault"),
    [(hooked, without_hooks), (frozen, all_in_training)],
)
def test_a_fault_of_the_functional_step_is_found(
    make_block: Callable[[], nn.Module], fault: Callable[[pytest.MonkeyPatch], None], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = network_of(make_block(), torch.zeros(2, 3))
    export(network, tmp_path / "good")
    assert not any(row.failed for row in verify_bundle(tmp_path / "good", network=network, steps=3))
    with pytest.MonkeyPatch.context() as patch:
        fault(patch)
        export(network, tmp_path / "bad")
        assert any(row.failed for row in verify_bundle(tmp_path / "bad", network=network, steps=3))


def test_weights_that_stay_as_they_were_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a trace holds a weight itself, it would be a constant of the graph."""
    network = network_of(Checkpointed(), torch.zeros(2, 3))
    gradients_too_late(monkeypatch)
    with pytest.raises(ExportError, match=r"block0/step: layer 'a' reads the parameter 'a\.weight' by a reference"):
        export(network, tmp_path / "bad")


@pytest.mark.parametrize("rule", [BackLink(length=2), MAN(period=3)])
def test_it_equals_the_functional_step_of_linked_blocks(rule: Rule) -> None:
    """BackLink runs its blocks in two pieces, and takes gradients of copies beside; MAN renews buffers before it runs them."""
    torch.manual_seed(0)
    blocks = [nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 6)) for _ in range(2)]
    network = BlockNetwork([*blocks, nn.Linear(6, 4)], 4, (6,))
    steps = make_steps(network, rule, SGD(), 8)
    x, y, lr = torch.randn(8, 6), torch.eye(4).repeat(2, 1), {"lr": torch.tensor(0.1)}
    for step in steps:
        received = {t.name: torch.randn(t.shape) for t in step.spec.received}
        for message in (value for name, value in received.items() if name.endswith(".lent")):
            message[0] = 2.0  # the number of a row
        state = {n: v if n == "lent.row" else v + 0.01 * torch.randn(v.shape) for n, v in step.initial_state().items()}
        ours, theirs = step(state, x, y, lr, received), OwnModuleStep(step)(state, x, y, lr, received)
        for name, value in ours.state.items():
            torch.testing.assert_close(theirs.state[name], value, rtol=1e-5, atol=1e-6)
        for name, value in ours.sent.items():
            torch.testing.assert_close(theirs.sent[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.trains_modules
def test_other_modes_than_at_export_are_told(tmp_path: Path) -> None:
    network = network_of(nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6)), torch.zeros(2, 3))
    export_bundle(network, rule=BackLink(), optimizer=SGD(), batch_size=4, path=tmp_path / "bundle")
    network.blocks[0].eval()
    with pytest.raises(BundleError, match=r"block0.*in other modes than at its export.*the whole block is in evaluation mode"):
        verify_bundle(tmp_path / "bundle", network=network)
