"""Synaptic operations and sparsity by block: plain loops over every product, and what the package neurobench counts."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.tiny_bundle import make_tiny_bundle
from torch import Tensor, nn

from edgebll.data import load_dataset
from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks import make_network
from edgebll.learning.networks.spiking.lif import LIF
from edgebll.learning.networks.spiking.over_time import OverTime, Recurrent
from edgebll.learning.operations.block_operations import BlockOperations, counted
from edgebll.learning.operations.energy_estimate import estimate
from edgebll.learning.operations.measured import measure_operations
from edgebll.learning.operations.network_operations import operations_of

STEPS = 4
#: What neurobench 2.3.0 says of `blocks()` and `samples()`, by block: SynapticOperations (dense, MACs, ACs of all samples),
#: ConnectionSparsity to four decimals, ActivationSparsity (zeros among all), Footprint.
NEUROBENCH: list[dict[str, Any]] = [
    {
        "dense": 8064,
        "macs": 2069,
        "acs": 1399,
        "connection_sparsity": 0.0917,
        "silent": 246,
        "activations": 288,
        "footprint": 496,
    },
    {"dense": 2160, "macs": 0, "acs": 291, "connection_sparsity": 0.0944, "silent": 56, "activations": 72, "footprint": 768},
    {"dense": 405, "macs": 17, "acs": 72, "connection_sparsity": 0.0963, "silent": 9, "activations": 15, "footprint": 572},
]


def fixed(module: nn.Module) -> nn.Module:
    """Weights that are the same with every release of torch; some are zero."""
    with torch.no_grad():
        for number, parameter in enumerate(module.parameters()):
            values = torch.arange(parameter.numel(), dtype=torch.float32).reshape(parameter.shape)
            parameter.copy_(((values * 7 + number) % 11 - 5.0).clamp(min=-3.0) / 4)
    return module


def blocks() -> list[nn.Module]:
    """Convolutions of spikes with strides, padding and groups; then recurrent spikes; then a ReLU without time."""
    convolutions = nn.Sequential(nn.Conv2d(2, 4, 3, 2, 1), nn.Conv2d(4, 4, (2, 3), padding=(0, 1), groups=2, bias=False))
    recurrent = Recurrent(LIF(tau=2e-3), nn.Linear(6, 6))
    first = nn.Sequential(OverTime(convolutions), LIF(tau=2e-3))
    second = nn.Sequential(OverTime(nn.Sequential(nn.Flatten(), nn.Linear(24, 6))), recurrent)
    last = nn.Sequential(nn.Flatten(), nn.Linear(6 * STEPS, 5), nn.ReLU(), nn.Linear(5, 3))
    return [fixed(block).eval() for block in (first, second, last)]


def samples() -> Tensor:
    """Three of spikes (T, 2, 6, 5)."""
    places = torch.arange(3 * STEPS * 2 * 6 * 5)
    return (places * 13 % 7 < 2).float().reshape(3, STEPS, 2, 6, 5)


def count(made: list[nn.Module], x: Tensor) -> tuple[list[BlockOperations], list[Tensor]]:
    """The counts, and what each block was given."""
    given = [x]
    with torch.no_grad(), counted(made) as found:
        for block in made:
            given.append(block(given[-1]))
    return found, given


def test_convolutions_are_counted_as_plain_loops_count_them() -> None:
    first, second = nn.Conv2d(2, 4, 3, 2, 1), nn.Conv2d(4, 4, (2, 3), padding=(0, 1), groups=2, bias=False)
    x = samples().flatten(0, 1)
    x[0, 0, 0, 0] = 0.5
    for layer, given in ((fixed(first), x), (fixed(second), first(x).detach())):
        (found,), _ = count([nn.Sequential(layer)], given)
        weight: np.ndarray[Any, Any] = layer.weight.detach().numpy()
        padding, stride, each = layer.padding, layer.stride, layer.in_channels // layer.groups
        padded = np.pad(given.numpy(), [(0, 0), (0, 0), *((p, p) for p in padding)], constant_values=np.nan)
        out = layer(given).shape
        dense = effective = 0
        for n, o, row, column, c, ky, kx in itertools.product(*map(range, (*out, each, *weight.shape[2:]))):
            channel = o // (layer.out_channels // layer.groups) * each + c
            value = padded[n, channel, row * stride[0] + ky, column * stride[1] + kx]
            dense += not np.isnan(value)
            effective += not np.isnan(value) and value != 0 and weight[o, c, ky, kx] != 0
        assert (found.dense, found.macs, found.acs) == (dense, effective, 0)
        assert (found.weights, found.zero_weights) == (weight.size, int((weight == 0).sum()))


def test_layers_over_time_and_among_themselves_are_counted_step_by_step() -> None:
    (_, second, last), (_, before, after, _) = count(blocks(), samples())
    _, recurrent, dense = blocks()
    feeding, among = recurrent[0].layer[1].weight.detach(), recurrent[1].linear.weight.detach()
    wanted = sum(
        int((among[:, torch.roll(after, 1, 1)[n, t] * (t > 0) != 0] != 0).sum()) for n in range(3) for t in range(STEPS)
    )
    wanted += sum(int((feeding[:, row != 0] != 0).sum()) for row in before.flatten(0, 1).flatten(1))
    assert (second.acs, second.macs, second.dense) == (wanted, 0, 3 * STEPS * (24 * 6 + 36))
    assert (second.activations, second.silent) == (after.numel(), int((after == 0).sum()))
    hidden = torch.relu(dense[1](after.flatten(1)))
    assert last.macs == sum(int((dense[3].weight[:, row != 0] != 0).sum()) for row in hidden)
    assert last.silent == int((hidden == 0).sum())


@pytest.mark.parametrize("index", range(3))
def test_they_are_those_of_neurobench(index: int) -> None:
    found, recorded = count(blocks(), samples())[0][index], NEUROBENCH[index]
    assert (found.dense, found.macs, found.acs) == (recorded["dense"], recorded["macs"], recorded["acs"])
    assert round(found.connection_sparsity or 0.0, 4) == recorded["connection_sparsity"]
    assert (found.silent, found.activations) == (recorded["silent"], recorded["activations"])
    assert found.footprint_bytes == recorded["footprint"]


def test_other_layers_with_weights_are_named() -> None:
    (found,), _ = count([nn.Sequential(nn.ConvTranspose2d(1, 2, 2))], torch.ones(1, 1, 2, 2))
    assert (found.not_counted, found.dense, found.connection_sparsity, found.activation_sparsity) == (
        {"ConvTranspose2d"},
        0,
        None,
        None,
    )


def test_the_padding_of_the_last_batch_is_no_sample() -> None:
    dataset = load_dataset("digits", "test", None, 65)
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0)
    found = operations_of(network, dataset)
    single = operations_of(network, load_dataset("digits", "test", None, 1))
    assert [each.dense for each in found] == [65 * each.dense for each in single]


def test_a_network_that_is_not_known_here_is_refused_in_a_sentence(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "tiny", blocks=2)
    with pytest.raises(ConfigError, match=r"made in Python and is in no file; count it there$"):
        measure_operations(bundle.path, load_dataset("digits", "test", None, 1), 1)


def test_energy_is_of_additions_and_multiplications() -> None:
    assert estimate(1000, 0) == pytest.approx((0.23, 4.6))
    assert estimate(1000, 10_000) == pytest.approx((0.53, 13.6))
