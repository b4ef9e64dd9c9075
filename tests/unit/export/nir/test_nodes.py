"""Every kind of node against PyTorch, or against its equation solved by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.nir_graphs import chain, cuba, full, lif, write

from edgebll_export.nir.primitives import PRIMITIVES
from edgebll_export.nir.reading import read_graph
from edgebll_export.nir.simulation import simulate


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers for each test, whichever ran before."""
    return np.random.default_rng(3)


def output(path: Path, x: np.ndarray, dt: float | None = None, integrator: str = "euler") -> np.ndarray:
    return simulate(read_graph(path), x, dt, integrator=integrator).output


def test_the_primitives_are_those_of_the_package() -> None:
    """Names, and the parameters that its classes hold."""
    assert set(PRIMITIVES) | {"NIRGraph"} == set(nir.ir.__all__) - {"NIRNode", "str2NIRNode", "dict2NIRNode"}
    for name, primitive in PRIMITIVES.items():
        fields = set(getattr(nir, name).__dataclass_fields__) - {"input_type", "output_type", "metadata", "input_shape"}
        told = {*primitive.needed, *(key for key, _ in primitive.defaults)} - {"shape"}
        assert told == fields, name


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize(
    ("shape", "kernel", "options"),
    [
        ((3, 11), (4, 3, 3), {"stride": 2, "padding": 1, "dilation": 2, "groups": 1}),
        ((4, 9), (6, 2, 3), {"stride": 1, "padding": "same", "dilation": 1, "groups": 2}),
        ((3, 9), (2, 3, 4), {"stride": 1, "padding": "same", "dilation": 1, "groups": 1}),
        ((3, 9, 7), (4, 3, 3, 2), {"stride": (2, 1), "padding": (0, 1), "dilation": (1, 2), "groups": 1}),
        ((4, 6, 6), (4, 1, 3, 3), {"stride": 1, "padding": "valid", "dilation": 1, "groups": 4}),
    ],
)
def test_convolutions_equal_those_of_pytorch(
    tmp_path: Path, shape: tuple, kernel: tuple, options: dict, rng: np.random.Generator
) -> None:
    weight, bias = rng.normal(size=kernel), rng.normal(size=kernel[0])
    x = rng.normal(size=(2, 3, *shape))
    convolve: Any = F.conv1d if len(shape) == 2 else F.conv2d
    expected = [convolve(torch.tensor(one), torch.tensor(weight), torch.tensor(bias), **options).numpy() for one in x]
    kind = nir.Conv1d if len(shape) == 2 else nir.Conv2d
    node = kind(input_shape=shape[1] if len(shape) == 2 else shape[1:], weight=weight, bias=bias, **options)
    found = output(chain(tmp_path / "c.nir", shape, node, output=expected[0].shape[1:]), x)
    np.testing.assert_allclose(found, np.stack(expected), rtol=0, atol=1e-12)


def test_poolings_and_flatten_equal_those_of_pytorch(tmp_path: Path, rng: np.random.Generator) -> None:
    x = rng.normal(size=(2, 3, 2, 7, 6))
    options: dict[str, Any] = {"kernel_size": (3, 2), "stride": (2, 2), "padding": (1, 0)}
    averages = np.stack([F.avg_pool2d(torch.tensor(one), **options).numpy() for one in x])
    arrays = {key: np.array(value) for key, value in options.items()}
    for node, factor in ((nir.AvgPool2d(**arrays), 1), (nir.SumPool2d(**arrays), 6)):
        found = output(chain(tmp_path / "p.nir", (2, 7, 6), node, output=averages.shape[2:]), x)
        np.testing.assert_allclose(found, factor * averages, rtol=0, atol=1e-12)
    for start, end, shape in ((0, -1, (84,)), (1, 2, (2, 42)), (0, 1, (14, 6))):
        node = nir.Flatten({"input": np.array([2, 7, 6])}, start, end)
        np.testing.assert_array_equal(
            output(chain(tmp_path / "f.nir", (2, 7, 6), node, output=shape), x), x.reshape(2, 3, *shape)
        )


def test_products_scales_and_thresholds_are_what_they_say(tmp_path: Path, rng: np.random.Generator) -> None:
    weight, bias, x = rng.normal(size=(4, 3)), rng.normal(size=4), rng.normal(size=(2, 5, 3))
    affine = chain(tmp_path / "a.nir", (3,), nir.Affine(weight, bias), nir.Linear(weight[:, :4].T), output=(3,))
    np.testing.assert_allclose(output(affine, x), np.einsum("ji,btj->bti", weight, np.einsum("ij,btj->bti", weight, x) + bias))
    scale = np.array([2.0, -1.0, 0.5])
    found = output(chain(tmp_path / "s.nir", (3,), nir.Scale(scale), nir.Threshold(full(3, 0.25))), x)
    np.testing.assert_array_equal(found, (x * scale > 0.25).astype(float))
    assert 0 < found.sum() < found.size


def test_a_delay_moves_each_value_by_its_own_steps(tmp_path: Path, rng: np.random.Generator) -> None:
    x = rng.normal(size=(2, 6, 3))
    found = output(chain(tmp_path / "d.nir", (3,), nir.Delay(np.array([0.0, 0.002, 0.003]))), x, 1e-3)
    for index, steps in enumerate((0, 2, 3)):
        np.testing.assert_array_equal(found[:, steps:, index], x[:, : 6 - steps, index])
        assert not found[:, :steps, index].any()


def test_integrators_have_the_membranes_of_their_equations(tmp_path: Path) -> None:
    x = np.ones((1, 50, 1))
    one = full(1, 1.0)
    li = chain(tmp_path / "li.nir", (1,), nir.LI(tau=0.01 * one, r=2 * one, v_leak=0.5 * one))
    times = 1e-3 * np.arange(1, 51)
    np.testing.assert_allclose(output(li, x, 1e-3, "exact")[0, :, 0], 2.5 * (1 - np.exp(-times / 0.01)), rtol=1e-12)
    np.testing.assert_allclose(output(li, x, 1e-3)[0, :, 0], 2.5 * (1 - 0.9 ** np.arange(1, 51)), rtol=1e-12)
    integrator = chain(tmp_path / "i.nir", (1,), nir.I(r=3 * one))
    np.testing.assert_allclose(output(integrator, x)[0, :, 0], 3.0 * np.arange(1, 51))


@pytest.mark.parametrize(("tau_syn", "tau_mem"), [(0.01, 0.02), (0.02, 0.02)])
def test_the_exact_current_based_membrane_is_what_small_euler_steps_tend_to(
    tmp_path: Path, tau_syn: float, tau_mem: float, rng: np.random.Generator
) -> None:
    one = full(1, 1.0)
    node = nir.CubaLI(tau_syn=tau_syn * one, tau_mem=tau_mem * one, r=2 * one, v_leak=0.3 * one, w_in=1.5 * one)
    path = chain(tmp_path / "c.nir", (1,), node)
    x = rng.random((1, 40, 1))
    exact = output(path, x, 1e-3, "exact")
    errors = []
    for parts in (20, 200):
        fine = output(path, np.repeat(x, parts, axis=1), 1e-3 / parts)[:, parts - 1 :: parts]
        errors.append(np.abs(exact - fine).max())
    assert errors[1] < 5e-4
    # First order: ten times smaller steps, ten times smaller errors.
    assert 8 < errors[0] / errors[1] < 12


def test_neurons_are_reset_to_their_value_in_the_step_of_the_spike(tmp_path: Path) -> None:
    node = lif(1, tau=0.02, r=2.0, v_leak=0.1, v_threshold=0.5, v_reset=-0.2)
    graph = read_graph(chain(tmp_path / "n.nir", (1,), node))
    found = simulate(graph, np.ones((1, 30, 1)), 1e-3)
    v, spikes, potentials = 0.0, [], []
    for _ in range(30):
        v += 0.05 * (0.1 - v + 2.0)
        spikes.append(float(v > 0.5))
        v = -0.2 if v > 0.5 else v
        potentials.append(v)
    assert sum(spikes) > 1
    assert found.output[0, :, 0].tolist() == spikes
    np.testing.assert_allclose(found.membranes["n0"][0, :, 0], potentials, rtol=0, atol=1e-12)


def test_a_potential_at_the_threshold_does_not_spike(tmp_path: Path) -> None:
    graph = read_graph(chain(tmp_path / "g.nir", (1,), nir.IF(full(1, 1.0), full(1, 2.0))))
    assert simulate(graph, np.ones((1, 5, 1))).output[0, :, 0].tolist() == [0.0, 0.0, 1.0, 0.0, 0.0]


def test_ways_back_of_several_layers_are_one_step_late_and_sums_meet(tmp_path: Path) -> None:
    """a -> b -> a: only the way back is delayed; two edges into a node add up."""
    ends = {"input": nir.Input(np.array([2])), "output": nir.Output(np.array([2]))}
    nodes = {"a": nir.IF(full(2, 1.0), full(2, 0.5)), "b": nir.IF(full(2, 1.0), full(2, 0.5)), "w": nir.Linear(-np.eye(2))}
    edges = [("input", "a"), ("a", "b"), ("b", "w"), ("w", "a"), ("b", "output"), ("a", "output")]
    graph = read_graph(write(tmp_path / "g.nir", {**ends, **nodes}, edges))
    assert graph.delayed == {("b", "w")}
    found = simulate(graph, np.ones((1, 4, 2)))
    # Step 0: a and b fire. Step 1: b's spike of step 0 takes away the input. And so on.
    assert found.output[0, :, 0].tolist() == [2.0, 0.0, 2.0, 0.0]


def test_a_sub_graph_computes_what_its_nodes_do(tmp_path: Path, rng: np.random.Generator) -> None:
    inner = nir.NIRGraph(
        {
            "i": nir.Input(np.array([3])),
            "lif": cuba(3),
            "w": nir.Affine(-np.eye(3), full(3, 0.2)),
            "o": nir.Output(np.array([3])),
        },
        [("i", "lif"), ("lif", "w"), ("w", "lif"), ("lif", "o")],
        type_check=False,
    )
    nested = write(
        tmp_path / "n.nir",
        {"input": nir.Input(np.array([3])), "rnn": inner, "output": nir.Output(np.array([3]))},
        [("input", "rnn"), ("rnn", "output")],
    )
    flat = write(
        tmp_path / "f.nir",
        {
            "input": nir.Input(np.array([3])),
            "lif": cuba(3),
            "w": nir.Affine(-np.eye(3), full(3, 0.2)),
            "o": nir.Output(np.array([3])),
        },
        [("input", "lif"), ("lif", "w"), ("w", "lif"), ("lif", "o")],
    )
    x = 20 * rng.random((2, 40, 3))
    found = output(nested, x, 1e-3)
    assert 0 < found.mean() < 1
    np.testing.assert_array_equal(found, output(flat, x, 1e-3))
    assert "rnn.lif" in read_graph(nested).nodes
