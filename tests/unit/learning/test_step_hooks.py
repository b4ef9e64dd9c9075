"""The hooks of a training step: a rule of one's own overrides some of them, and the rest of the step is as ever."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.learning import SGD, BlockStep, Greedy, Optimizer, make_steps
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.objective import BlockPlace, Tensors
from edgebll.learning.precision import Precision
from edgebll.learning.rule import objective_of
from edgebll.learning.rules.backlink.step import BackLinkStep
from edgebll.learning.rules.man.step import MANStep
from edgebll.learning.step_tensors import ForwardPass, tensor_spec

BATCH, LR = 6, 0.05


class SignStep(BlockStep):
    """Learns by the signs of gradients, on inputs with noise that it is given as state."""

    def initial_state(self) -> dict[str, Tensor]:
        return {**super().initial_state(), "shift": torch.tensor(0.25)}

    def _prepare(self, state: Tensors, received: Tensors) -> Tensors:
        return {**state, "shift": state["shift"] * 0.5}

    def _run(self, parts: Any, x: Tensor, state: Tensors, received: Tensors, opened: Any) -> ForwardPass:
        return ForwardPass(self._output(parts[0], x + state["shift"]), kept={"x": x})

    def _learn(self, state: Tensors, gradients: Tensors, lr: Tensor) -> dict[str, Tensor]:
        return {name: state[name] - lr * gradient.sign() for name, gradient in gradients.items()}

    def _send(self, state: Tensors, ran: ForwardPass, taught: Tensors) -> dict[str, Tensor]:
        return {"mean": ran.kept["x"].mean(0)}

    def _exchanged(self, x: Tensor) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        return (), (tensor_spec("mean", x[0]),)


@dataclass(frozen=True)
class SignRule(Greedy):
    """Greedy learning by signs."""

    def make_step(
        self, network: BlockNetwork, index: int, optimizer: Optimizer, batch_size: int, precision: Precision
    ) -> BlockStep:
        place = BlockPlace.of(network, index)
        how = (optimizer, place, network.inputs_of(index), batch_size, precision)
        return SignStep(network.blocks[index], objective_of(self, place), *how)


def test_a_rule_of_ones_own_by_hooks_alone() -> None:
    """Against plain PyTorch: parameters of the block, of its classifier, what the hooks keep and send."""
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0)
    step, _ = make_steps(network, SignRule(), SGD(), BATCH)
    x, y = torch.randn(BATCH, 1, 8, 8), torch.eye(10)[[1, 1, 1, 5, 7, 9]]
    block, head = network.blocks[0], step.new_head()
    state, shift = step.initial_state(), 0.25
    for _ in range(3):
        state, a, metrics, sent = step(state, x, y, {"lr": torch.tensor(LR)})
        own = [*block.parameters(), *head.parameters()]
        shift *= 0.5
        output = block(x + shift)
        loss = F.cross_entropy(head(output), y)
        gradients = torch.autograd.grad(loss, own)
        assert torch.equal(a, output)
        assert torch.equal(metrics[0], loss) or torch.allclose(metrics[0], loss, rtol=1e-6)
        with torch.no_grad():
            for value, gradient in zip(own, gradients, strict=True):
                value -= LR * gradient.sign()
        assert float(state["shift"]) == shift
        assert torch.equal(sent["mean"], x.mean(0))
    named = {f"net.{name}": value for name, value in block.named_parameters()}
    named |= {f"head.{name}": value for name, value in head.named_parameters()}
    for name in step.trained:
        torch.testing.assert_close(state[name], named[name].detach(), rtol=0, atol=1e-6)


def test_rules_override_documented_hooks_alone() -> None:
    hooks = set(re.findall(r"^        (_\w+) ", BlockStep.__doc__ or "", re.MULTILINE))
    assert {"_parts", "_prepare", "_run", "_learn", "_send", "_exchanged"} == hooks
    for cls in (BackLinkStep, MANStep, SignStep):
        overridden = {name for name in vars(cls) if name in vars(BlockStep) and not name.startswith("__")}
        assert overridden - {"initial_state"} <= hooks
        assert "__call__" not in vars(cls)


def test_every_hook_has_a_default_that_changes_nothing() -> None:
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 2, 2), seed=0)
    step, _ = make_steps(network, Greedy(), SGD(), 2)
    state = step.initial_state()
    assert step._prepare(state, {}) is state
    assert step._send(state, ForwardPass(torch.zeros(2, 3)), {}) == {}
    assert step._exchanged(torch.zeros(2, 1, 2, 2)) == ((), ())
