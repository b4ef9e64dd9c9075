"""Layer, group, instance and RMS normalisation: value and gradients on ONNX Runtime against float64 autograd."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from support.graphs import assert_lowered_equals_float64, run_lowered
from support.lowering_cases import Case, check_case
from torch import Tensor, nn
from torch.nn import functional as F

CASES: dict[str, Case] = {
    **{
        f"weight_norm_{axis}": (lambda v, g, axis=axis: torch._weight_norm(v, g, axis), [(4, 3, 2), shape])
        for axis, shape in ((0, (4, 1, 1)), (1, (1, 3, 1)), (2, (1, 1, 2)))
    },
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (6,), w, b), [(2, 3, 6), (6,), (6,)]),
    "layer_norm_plain": (lambda x: F.layer_norm(x, (6,)), [(4, 6)]),
    "layer_norm_without_bias": (lambda x, w: F.layer_norm(x, (6,), w), [(2, 3, 6), (6,)]),
    "layer_norm_two_axes": (lambda x, w, b: F.layer_norm(x, (3, 6), w, b), [(2, 3, 6), (3, 6), (3, 6)]),
    "layer_norm_all_axes": (lambda x, w, b: F.layer_norm(x, (3, 6), w, b), [(3, 6), (3, 6), (3, 6)]),
    "layer_norm_of_a_broadcast": (lambda x, w: F.layer_norm(x.expand(4, 6), (6,), w), [(1, 6), (6,)]),
    "layer_norm_eps": (lambda x, w, b: F.layer_norm(x, (6,), w, b, 0.1), [(2, 3, 6), (6,), (6,)]),
    "group_norm": (lambda x, w, b: F.group_norm(x, 2, w, b), [(2, 6, 5), (6,), (6,)]),
    "group_norm_plain": (lambda x: F.group_norm(x, 3), [(2, 6, 5, 4)]),
    "group_norm_of_one_group": (lambda x, w, b: F.group_norm(x, 1, w, b), [(3, 4, 3, 2), (4,), (4,)]),
    "group_norm_per_channel": (lambda x, w, b: F.group_norm(x, 4, w, b, 0.01), [(3, 4, 3, 2), (4,), (4,)]),
    "group_norm_without_space": (lambda x, w, b: F.group_norm(x, 2, w, b), [(3, 8), (8,), (8,)]),
    "group_norm_without_bias": (lambda x, w: F.group_norm(x, 2, w), [(2, 6, 5), (6,)]),
    "instance_norm": (lambda x, w, b: F.instance_norm(x, None, None, w, b), [(2, 3, 4, 5), (3,), (3,)]),
    "instance_norm_plain": (lambda x: F.instance_norm(x), [(2, 3, 7)]),
    "instance_norm_3d": (lambda x, w, b: F.instance_norm(x, None, None, w, b), [(2, 3, 2, 3, 4), (3,), (3,)]),
    "instance_norm_of_running": (
        lambda x, m, v, w, b: F.instance_norm(x, m.detach(), v.detach() ** 2 + 0.5, w, b, False),
        [(2, 3, 4, 5), (3,), (3,), (3,), (3,)],
    ),
    "rms_norm": (lambda x, w: F.rms_norm(x, (6,), w), [(2, 3, 6), (6,)]),
    "rms_norm_plain": (lambda x: F.rms_norm(x, (3, 6), None, 0.01), [(2, 3, 6)]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])


def test_instance_norm_tracks_its_statistics() -> None:
    module = nn.InstanceNorm2d(3, affine=True, track_running_stats=True)
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))

    def step(x: Tensor, mean: Tensor, var: Tensor) -> tuple[Tensor, ...]:
        state = {"running_mean": mean, "running_var": var}
        y = torch.func.functional_call(module, {**state, "num_batches_tracked": torch.tensor(0)}, (x,))
        return y.detach(), state["running_mean"], state["running_var"]

    inputs = [x, torch.randn(3), torch.rand(3) + 0.5]
    actual = run_lowered(step, inputs)
    expected = step(*(value.clone() for value in inputs))
    assert len(actual) == 3
    for ours, exact in zip(actual, expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(ours), exact, rtol=1e-5, atol=1e-5)
    assert not torch.equal(expected[1], inputs[1])


def test_group_norm_without_weight() -> None:
    """Forward only: PyTorch itself has no gradient of it."""
    inputs = [torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0)), torch.arange(6.0)]
    (actual,) = run_lowered(lambda x, b: (F.group_norm(x, 2, None, b),), inputs)
    torch.testing.assert_close(torch.from_numpy(actual), F.group_norm(inputs[0], 2, None, inputs[1]))


@pytest.mark.parametrize("norm", [lambda x: F.layer_norm(x, (50,)), lambda x: F.group_norm(x, 2), F.instance_norm])
def test_norms_hold_where_the_mean_is_large(norm: Callable[[Tensor], Tensor]) -> None:
    """The variance is that of the deviations, not a difference of squares."""
    x = 30 + 0.01 * torch.randn(2, 4, 50, generator=torch.Generator().manual_seed(0))
    assert_lowered_equals_float64(norm, [x], tolerance=2e-3)
