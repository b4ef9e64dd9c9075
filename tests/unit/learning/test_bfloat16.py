"""bfloat16 as a plain loop under autocast has it: gradients, auxiliary networks, casts of weights, what blocks hand on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from edgebll.learning import BLL, SGD, BlockStep, Greedy, Rule, make_steps
from edgebll.learning.networks import BlockNetwork, make_network

BATCH, CLASSES = 8, 5
LR = {"lr": torch.tensor(0.05)}
HALF = torch.bfloat16


class Recorded(TorchDispatchMode):
    """Counts what is computed, by operator and the dtypes and shapes that `key` makes of its arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.dtypes: Counter[tuple[str, torch.dtype]] = Counter()
        self.casts: Counter[tuple[int, ...]] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        first = next((value for value in args if isinstance(value, Tensor)), None)
        if first is not None:
            name = function.__name__.split(".")[0]
            self.dtypes[name, first.dtype] += 1
            if name == "_to_copy" and first.dtype == torch.float32 and (kwargs or {}).get("dtype") == HALF:
                self.casts[tuple(first.shape)] += 1
        return function(*args, **(kwargs or {}))


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    y = torch.eye(CLASSES)[torch.randint(0, CLASSES, (BATCH,), generator=generator)]
    return torch.randn(BATCH, 1, 12, 12, generator=generator), y


def residual_network() -> BlockNetwork:
    """Four blocks, the second of which begins with an identity shortcut."""
    options = {"width": 8}
    return make_network(
        "resnet18", num_blocks=4, split="2,2,3,2", num_classes=CLASSES, input_shape=(1, 12, 12), seed=0, options=options
    )


def momenta(steps: Sequence[BlockStep], x: Tensor, y: Tensor) -> list[dict[str, Tensor]]:
    """Of every block after one step from its initial state; of SGD without weight decay they are the gradients."""
    found = []
    for step in steps:
        state, x, _, _ = step(step.initial_state(), x, y, LR)
        found.append({name.removeprefix("momentum."): value for name, value in state.items() if name.startswith("momentum.")})
    return found


def plain_gradients(steps: Sequence[BlockStep], x: Tensor, y: Tensor, half: bool, match: float) -> list[dict[str, Tensor]]:
    """The same by a loop as one writes it in PyTorch: module, head and cross-entropy, class means of this batch as targets."""
    found = []
    for step in steps:
        block, head = step.module, step.new_head()
        block.zero_grad()
        with torch.autocast("cpu", HALF, enabled=half):
            a = block(x)
            features = a.float()
            logits = head(features)
        loss = F.cross_entropy(logits.float(), y)
        if step is not steps[-1]:
            pooled = features.mean((2, 3)) if features.dim() > 2 else features
            counts = y.sum(0).clamp(min=1)
            means = (1.0 - 0.9) * ((pooled.detach().t() @ y) / counts)  # W starts at zero and keeps 0.9 of it
            loss = torch.stack([match / 8 * (pooled - y @ means.t()).square().sum(1).mean(), loss]).sum() if match else loss
        loss.backward()
        named = {"net": block, "head": head}
        trained = {f"{key}.{n}": p.grad for key, module in named.items() for n, p in module.named_parameters()}
        found.append({name: gradient for name, gradient in trained.items() if gradient is not None})
        x = a.detach()
    return found


def distance(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> float:
    """Largest distance of any gradient, relative to the largest gradient of its block."""
    assert ours.keys() == theirs.keys()
    scale = max(float(value.norm()) for value in theirs.values())
    return max(float((ours[name] - value).norm()) for name, value in theirs.items()) / scale


@pytest.mark.parametrize(("rule", "match"), [(BLL(), 1.0), (Greedy(), 0.0)], ids=["bll", "greedy"])
def test_gradients_are_those_of_a_plain_loop_under_autocast(rule: Rule, match: float) -> None:
    steps = make_steps(residual_network(), rule, SGD(weight_decay=0.0), BATCH, "bfloat16")
    exact = make_steps(residual_network(), rule, SGD(weight_decay=0.0), BATCH)
    x, y = batch()
    ours, theirs, wide = momenta(steps, x, y), plain_gradients(steps, x, y, True, match), momenta(exact, x, y)
    assert max(map(distance, ours, theirs)) < 1e-5
    assert min(map(distance, ours, wide)) > 1e-3, "it was computed in float32"


def test_float32_is_what_it_was_to_the_last_bit() -> None:
    """The class means of BLL and their gradient, and all that comes of them, as in a plain loop with .mean()."""
    steps = make_steps(residual_network(), BLL(), SGD(weight_decay=0.0), BATCH)
    x, y = batch()
    for ours, theirs in zip(momenta(steps, x, y), plain_gradients(steps, x, y, False, 1.0), strict=True):
        assert all(torch.equal(ours[name], value) for name, value in theirs.items())


def test_what_is_kept_is_float32() -> None:
    x, y = batch()
    for step in make_steps(residual_network(), BLL(), SGD(), BATCH, "bfloat16"):
        stepped = step(step.initial_state(), x, y, LR)
        assert {v.dtype for v in (*stepped.state.values(), stepped.a, stepped.metrics)} == {torch.float32}
        x = stepped.a


def test_auxiliary_networks_compute_in_bfloat16_and_losses_in_float32() -> None:
    step = make_steps(residual_network(), Greedy(classifier="conv"), SGD(), BATCH, "bfloat16")[0]
    x, y = batch()
    with Recorded() as recorded:
        step(step.initial_state(), x, y, LR)
    products = {dtype for name, dtype in recorded.dtypes if name in ("convolution", "addmm", "mm")}
    assert products == {HALF}
    assert [dtype for name, dtype in recorded.dtypes if name == "_log_softmax"] == [torch.float32]


class Repeating(nn.Module):
    """One layer three times, twice of them computed anew in the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(144, 144, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        once = self.layer(x.flatten(1)).relu()
        again: Tensor = checkpoint(lambda given: self.layer(self.layer(given).relu()), once, use_reentrant=False)
        return again


def test_a_weight_is_cast_once_a_step() -> None:
    network = BlockNetwork([Repeating(), nn.Linear(144, CLASSES)], CLASSES, (1, 12, 12))
    x, y = batch()
    for step in make_steps(network, BLL(), SGD(), BATCH, "bfloat16"):
        state = step.initial_state()
        for _ in range(3):  # the first steps are watched more closely
            state, a, _, _ = step(state, x, y, LR)
        with Recorded() as recorded:
            new = step(state, x, y, LR).state
        weights = [tuple(state[name].shape) for name in step.trained if state[name].ndim > 1]
        assert {shape: recorded.casts[shape] for shape in weights} == dict.fromkeys(weights, 1)
        assert not torch.equal(new[step.trained[0]], step(new, x, y, LR).state[step.trained[0]]), "a cast outlived its step"
        x = a


def test_a_block_takes_bfloat16_where_the_one_before_gave_it() -> None:
    steps = make_steps(residual_network(), BLL(), SGD(), BATCH, "bfloat16")
    assert [step.precision.narrow for step in steps] == [False, True, True, True]
    x, y = batch()
    for step in steps:
        with Recorded() as recorded:
            stepped = step(step.initial_state(), x, y, LR)
        assert recorded.dtypes["relu", torch.float32] == 0, "an identity shortcut made it float32"
        x = stepped.a
        assert torch.equal(x, x.to(HALF).float()), "handing on rounded"


def test_a_residual_stream_of_float32_is_not_rounded_between_blocks() -> None:
    """Of a transformer, for instance; nor anything of the other precisions, or behind a module that does not run."""
    options = {"depth": 2, "dim": 16, "hidden": 16}
    network = make_network("transformer", num_blocks=2, num_classes=CLASSES, input_shape=(10, 10), seed=0, options=options)
    assert not any(step.precision.narrow for step in make_steps(network, BLL(), SGD(), BATCH, "bfloat16"))
    for precision in ("float32", "mixed"):
        assert not any(step.precision.narrow for step in make_steps(residual_network(), BLL(), SGD(), BATCH, precision))
