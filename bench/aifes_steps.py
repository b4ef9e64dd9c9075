"""The same training steps with the same sample from the same weights: in PyTorch, by edgebll's C runtime, and for AIfES.

PyTorch is the judge: a comparison of instructions is void where one side computes something else.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.c_runtime import run_in_c
from support.step_costs import LABEL, MOMENTA, RATE, exported, network_of, step_memory

from edgebll.kernel.microcontroller import plan_block

STEPS = 3
#: Of what PyTorch changes in a tensor, the most that another may be off.
BAR = 1e-4


@dataclass(frozen=True)
class Case:
    """STEPS steps with one sample.

    Attributes:
        module: the network before them.
        momentum: of the optimiser.
        x: the sample, with an axis for the batch.
        ours: edgebll's weights and biases after them, layer by layer.
    """

    module: nn.Module
    momentum: float
    x: torch.Tensor
    ours: list[np.ndarray]


def case_of(network: str, optimizer: str) -> Case:
    """Take the steps by edgebll's C runtime on this machine, which has the bits of a Cortex-M4F.

    Args:
        network: "mlp" or "cnn".
        optimizer: "SGD" or "momentum".
    """
    with exported(network, "backprop", optimizer) as bundle:
        plan = plan_block(bundle, "block0")
        state, given = step_memory(bundle, plan)
        for _ in range(STEPS):
            assert run_in_c(plan.encoded["step"], state, bytearray(given)) == (0, 0)
    (x,) = (place for place in plan.graphs["step"].inputs if place.tensor.name == "x")
    sample = np.ndarray(x.tensor.shape, np.float32, given, x.offset)
    module = network_of(network, "backprop").blocks[0]
    places = {place.tensor.name: place for place in plan.state.tensors}
    found = [places[f"net.{name}"] for name, _ in module.named_parameters()]
    ours = [np.ndarray(place.tensor.shape, np.float32, state, place.offset) for place in found]
    return Case(module, MOMENTA[optimizer], torch.from_numpy(sample.copy()), ours)


def weights(module: nn.Module) -> list[np.ndarray]:
    """A copy of every weight and bias, layer by layer."""
    return [value.detach().numpy().copy() for value in module.parameters()]


def train(case: Case, probabilities: np.ndarray | None = None) -> tuple[list[np.ndarray], np.ndarray]:
    """Take the steps in PyTorch.

    Args:
        case: of what.
        probabilities: (steps, classes), another's softmax, to go on from in the backward pass. Default: None, PyTorch's own.

    Returns:
        Weights and biases, and the probabilities of each step.
    """
    module = copy.deepcopy(case.module)
    optimizer, found = torch.optim.SGD(module.parameters(), RATE, case.momentum), []
    for step in range(STEPS):
        optimizer.zero_grad()
        logits = module(case.x)
        found.append(torch.softmax(logits, 1)[0].detach().numpy())
        wanted = torch.eye(logits.shape[1])[[LABEL]]
        p = torch.softmax(logits, 1) if probabilities is None else torch.from_numpy(probabilities[[step]])
        logits.backward((p - wanted).detach())
        optimizer.step()
    return weights(module), np.stack(found)


def distance(before: Sequence[np.ndarray], after: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> float:
    """How far weights are from PyTorch's, as a share of what PyTorch changed in that tensor at the most; of all tensors.

    Args:
        before: of each tensor.
        after: by PyTorch.
        found: by another.
    """
    return max(
        float(np.abs(other - new).max() / np.abs(new - old).max()) for old, new, other in zip(before, after, found, strict=True)
    )


def given(case: Case, axes: Sequence[int]) -> str:
    """given.h of bench/aifes/training.c.

    Args:
        case: the steps to take.
        axes: of the sample as AIfES has it, batch first.
    """
    shape = "{" + ", ".join(map(str, axes)) + "}"
    numbers = np.concatenate([in_their_layout(value).ravel() for value in weights(case.module)])
    lines = {
        "INPUT_AXES": len(axes),
        "INPUT_SHAPE": shape,
        "X_NUMBERS": case.x.numel(),
        "X": _numbers(case.x.numpy().ravel()),
        "PARAMETERS": _numbers(numbers),
        "CLASS": LABEL,
        "STEPS": STEPS,
        "RATE": f"{RATE}f",
        "MOMENTUM": f"{case.momentum}f",
    }
    return "".join(f"#define {name} {value}\n" for name, value in lines.items())


def _numbers(values: np.ndarray) -> str:
    return ", ".join(f"{value:.9e}f" for value in values)


def in_their_layout(value: np.ndarray) -> np.ndarray:
    """AIfES has a dense layer's weights as (inputs, outputs), PyTorch as (outputs, inputs); all else is alike."""
    return value.T if value.ndim == 2 else value


def in_our_layout(words: np.ndarray, like: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Tensors of PyTorch's shapes from all of AIfES's numbers.

    Args:
        words: float32, one after another.
        like: tensors of PyTorch.
    """
    parts = np.split(words, np.cumsum([value.size for value in like])[:-1])
    pairs = zip(parts, like, strict=True)
    return [part.reshape(value.T.shape).T if value.ndim == 2 else part.reshape(value.shape) for part, value in pairs]
