"""Updates in few calls and little memory: the bits of the formulas, inputs left alone, and graphs without writes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from edgebll.learning import SGD, Adam, AdamW, Optimizer
from edgebll.learning.optimizers.arithmetic import InPlace, arithmetic

LR = torch.tensor(0.03)
SHAPES = {"kernel": (8, 4, 3, 3), "weight": (40, 70), "bias": (5,), "scale": ()}
SGDS = [
    SGD(),
    SGD(nesterov=False),
    SGD(weight_decay=0.0),
    SGD(momentum=0.0, nesterov=False),
    SGD(momentum=0.0, nesterov=False, weight_decay=0.0),
]
ADAMS = [Adam(), Adam(weight_decay=0.1), AdamW(weight_decay=0.1), AdamW(weight_decay=0.0)]


def drawn(optimizer: Optimizer, last: bool = False) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """Parameters, gradients and moments as after many steps, kernels with their channels first or last in memory."""
    generator = torch.Generator().manual_seed(0)

    def draw(shape: tuple[int, ...]) -> Tensor:
        value = torch.rand(shape, generator=generator) + 0.01
        return value.contiguous(memory_format=torch.channels_last) if last and value.ndim == 4 else value

    parameters, gradients = ({name: draw(shape) - 0.5 for name, shape in SHAPES.items()} for _ in range(2))
    moments = {name: draw(tuple(value.shape)) for name, value in optimizer.initial_moments(parameters).items()}
    return parameters, gradients, moments


def by_formula(optimizer: Optimizer, p: Tensor, g: Tensor, moments: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """SGD and Adam of one parameter as their classes' documentation has them, operator by operator."""
    if isinstance(optimizer, SGD):
        g = g + optimizer.weight_decay * p if optimizer.weight_decay else g
        if not optimizer.momentum:
            return {name: p - LR * g}
        m = optimizer.momentum * moments[f"momentum.{name}"] + g
        return {name: p - LR * (g + optimizer.momentum * m if optimizer.nesterov else m), f"momentum.{name}": m}
    assert isinstance(optimizer, Adam)
    decoupled = isinstance(optimizer, AdamW)
    g = g + optimizer.weight_decay * p if optimizer.weight_decay and not decoupled else g
    rate1, rate2 = 1.0 - optimizer.beta1, 1.0 - optimizer.beta2
    m, v = moments[f"moment1.{name}"], moments[f"moment2.{name}"]
    m, v = m + rate1 * (g - m), v + rate2 * (g * g - v)
    weights = [moments[key] + rate * (1.0 - moments[key]) for key, rate in (("moment1", rate1), ("moment2", rate2))]
    root = weights[1].sqrt()
    kept = p * (1.0 - optimizer.weight_decay * LR) if decoupled and optimizer.weight_decay else p
    new = kept - LR * root / weights[0] * (m / (v.sqrt() + optimizer.epsilon * root))
    return {name: new, f"moment1.{name}": m, f"moment2.{name}": v}


@pytest.mark.parametrize("optimizer", [*SGDS, *ADAMS], ids=str)
@pytest.mark.parametrize("last", [False, True])
def test_bits_are_those_of_the_formula_and_nothing_given_is_changed(optimizer: Optimizer, last: bool) -> None:
    parameters, gradients, moments = given = drawn(optimizer, last)
    before = [{name: value.clone() for name, value in own.items()} for own in given]
    new = optimizer.update(parameters, gradients, moments, LR)
    for name, value in parameters.items():
        for key, wanted in by_formula(optimizer, value, gradients[name], moments, name).items():
            assert torch.equal(new[key], wanted), key
            assert new[key].stride() == wanted.stride(), key
    for own, kept in zip(given, before, strict=True):
        assert all(torch.equal(value, kept[name]) for name, value in own.items())
    storages = [value.data_ptr() for own in (*given, new) for value in own.values()]
    assert len(set(storages)) == len(storages), "results share memory"


@pytest.mark.parametrize("optimizer", [SGD(), AdamW()], ids=str)
def test_a_traced_update_is_of_plain_operators(optimizer: Optimizer) -> None:
    """Of which `export` makes graphs: no writes, no tensors that are constants."""
    parameters, gradients, moments = drawn(optimizer)

    def update(p: dict[str, Tensor], g: dict[str, Tensor], m: dict[str, Tensor]) -> dict[str, Tensor]:
        return optimizer.update(p, g, m, LR.clone())

    assert isinstance(arithmetic(), InPlace)
    graph = make_fx(update)(parameters, gradients, moments)
    called = [node.target for node in graph.graph.nodes if node.op == "call_function"]
    assert called
    assert not any(target._schema.is_mutable for target in called)
    assert sum(node.op == "get_attr" for node in graph.graph.nodes) <= 1  # the rate that the test gives
    expected = optimizer.update(parameters, gradients, moments, LR)
    assert all(torch.equal(value, expected[name]) for name, value in graph(parameters, gradients, moments).items())
