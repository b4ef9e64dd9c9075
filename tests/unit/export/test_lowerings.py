"""Every lowering, value and gradient, against float64 autograd on ONNX Runtime."""

from collections.abc import Callable

import pytest
import torch
from support.graphs import assert_lowered_equals_float64, run_lowered, to_model
from torch.nn import functional as F

from edgebll_export.registry import LOWERINGS

Case = tuple[Callable[..., torch.Tensor], list[tuple[int, ...]]]

CASES: dict[str, Case] = {
    "add": (lambda x, y: x + 2 * y + 1, [(3, 4), (4,)]),
    "add_alpha": (lambda x, y: torch.add(x, y, alpha=3), [(3, 4), (3, 4)]),
    "sub": (lambda x, y: x - y, [(3, 1), (3, 4)]),
    "sub_alpha": (lambda x, y: torch.sub(x, y, alpha=0.5), [(3, 4), (3, 4)]),
    "rsub": (lambda x: 1.5 - x, [(3, 4)]),
    "mul": (lambda x, y: x * y * 0.5, [(2, 3, 4), (3, 1)]),
    "div": (lambda x, y: x / (y * y + 1) / 3, [(3, 4), (3, 4)]),
    "pow": (lambda x: x**3 + x**2 + (x * x + 1) ** 0.5, [(3, 4)]),
    "square": (lambda x: x.square(), [(3, 4)]),
    "sqrt": (lambda x: (x * x + 1).sqrt(), [(3, 4)]),
    "rsqrt": (lambda x: (x * x + 1).rsqrt(), [(3, 4)]),
    "exp_log": (lambda x: (x.exp() + 1).log(), [(3, 4)]),
    "abs": (lambda x: (x + 0.1).abs(), [(3, 4)]),
    "neg": (lambda x: -x, [(3, 4)]),
    "reciprocal": (lambda x: (x * x + 1).reciprocal(), [(3, 4)]),
    "clamp": (lambda x: x.clamp(-0.5, 0.7), [(3, 4)]),
    "maximum": (lambda x, y: torch.maximum(x, y), [(3, 4), (3, 4)]),
    "minimum": (lambda x, y: torch.minimum(x, y), [(3, 4), (3, 4)]),
    "logical": (lambda x, y: x * (((x > 0) & (y > 0)) | ~(x < -0.5)).float(), [(3, 4), (3, 4)]),
    "masked_fill": (lambda x: x.masked_fill(x > 0.3, 2.0), [(3, 4)]),
    "logical_not": (lambda x: x * torch.logical_not(x > 0.3).float(), [(3, 4)]),
    "scalar_tensor": (lambda x: torch.where(x > 0, x, torch.scalar_tensor(0.5, dtype=x.dtype)), [(3, 4)]),
    "where": (lambda x, y: torch.where(x > y, x * 2, y), [(3, 4), (3, 4)]),
    "compare": (lambda x, y: x * ((x >= y).float() + (x < 0).float() + (x <= y).float() + (x != 0).float()), [(3, 4), (3, 4)]),
    "relu": (F.relu, [(3, 4)]),
    "relu_in_place": (lambda x: F.relu(x * 2, inplace=True), [(3, 4)]),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.1), [(3, 4)]),
    "relu6": (lambda x: F.relu6(x * 6), [(3, 4)]),
    "hardtanh": (lambda x: F.hardtanh(x, -0.3, 0.4), [(3, 4)]),
    "elu": (lambda x: F.elu(x, 0.7), [(3, 4)]),
    "sigmoid": (torch.sigmoid, [(3, 4)]),
    "tanh": (torch.tanh, [(3, 4)]),
    "linear": (F.linear, [(5, 4), (3, 4), (3,)]),
    "linear_3d": (F.linear, [(2, 5, 4), (3, 4), (3,)]),
    "mm": (lambda x, y: x @ y.t(), [(3, 4), (5, 4)]),
    "bmm": (torch.bmm, [(2, 3, 4), (2, 4, 5)]),
    "mv": (lambda x, v: x @ v, [(3, 4), (4,)]),
    "dot": (lambda x, y: torch.dot(x, y).reshape(1), [(4,), (4,)]),
    "sum_axes": (lambda x: x.sum((0, 2)), [(2, 3, 4)]),
    "sum_keepdim": (lambda x: x * x.sum(1, keepdim=True), [(2, 3, 4)]),
    "mean_all": (lambda x: x.mean().reshape(1), [(2, 3)]),
    "mean_axes": (lambda x: x.mean((2, 3)), [(2, 3, 4, 5)]),
    "amax": (lambda x: x.amax((2, 3)), [(2, 3, 4, 4)]),
    "sum_of_broadcast": (lambda x: (x.unsqueeze(1).expand(3, 5, 4)).sum((0, 1)) * x.mean(0), [(3, 4)]),
    "softmax": (lambda x: F.softmax(x, 1), [(3, 4)]),
    "log_softmax": (lambda x: F.log_softmax(x, 1), [(3, 4)]),
    "views": (lambda x: x.reshape(4, 6).unsqueeze(1).squeeze(1).t().transpose(0, 1).permute(1, 0), [(2, 3, 4)]),
    "transposed_twice": (lambda x: x.t().t() * x, [(3, 4)]),
    "slices": (lambda x: x[:, 1:3] * x[:, 2:4], [(3, 5)]),
    "select": (lambda x: x[1] * x[:, 2].sum(), [(3, 5)]),
    "cat": (lambda x, y: torch.cat([x, y * 2], 1), [(3, 2), (3, 4)]),
    "stack": (lambda x, y: torch.stack([x, y, x], 1), [(3, 2), (3, 2)]),
    "pad": (lambda x: F.pad(x, (1, 2, 0, 1)) * 2, [(2, 3)]),
    "flatten": (lambda x: x.flatten(1) * 3, [(2, 3, 4)]),
    "likes": (lambda x: x * torch.ones_like(x) + torch.zeros_like(x) + torch.full_like(x, 2.0), [(2, 3)]),
    "filled": (lambda x: x + torch.full((2, 3), 2.0, dtype=x.dtype) + torch.eye(2, 3, dtype=x.dtype), [(2, 3)]),
    "zeros_ones": (lambda x: x + torch.zeros(2, 3, dtype=x.dtype) + torch.ones(3, dtype=x.dtype), [(2, 3)]),
    "global_pool": (lambda x: F.adaptive_avg_pool2d(x, 1), [(2, 3, 5, 4)]),
    "adaptive_pool_uneven": (lambda x: F.adaptive_avg_pool2d(x, (3, 2)), [(2, 3, 7, 5)]),
    "adaptive_pool_1d": (lambda x: F.adaptive_avg_pool1d(x, 3), [(2, 3, 7)]),
    "adaptive_pool_large": (lambda x: F.adaptive_avg_pool2d(x, 9), [(1, 2, 40, 40)]),
    "avg_pool": (lambda x: F.avg_pool2d(x, 2), [(2, 3, 6, 6)]),
    "avg_pool_overlap": (lambda x: F.avg_pool2d(x, 3, 2, 1), [(2, 3, 7, 6)]),
    "avg_pool_uncounted": (lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), [(2, 3, 7, 6)]),
    "avg_pool_ceil": (lambda x: F.avg_pool2d(x, 3, 2, ceil_mode=True), [(2, 3, 8, 7)]),
    "max_pool": (lambda x: F.max_pool2d(x, 2), [(2, 3, 6, 6)]),
    "max_pool_overlap": (lambda x: F.max_pool2d(x, 3, 2, 1), [(2, 3, 7, 6)]),
    "max_pool_left_over": (lambda x: F.max_pool2d(x, 2), [(2, 3, 7, 5)]),
    "cross_entropy_probabilities": (
        lambda x, y: F.cross_entropy(x, y.softmax(1), label_smoothing=0.1).reshape(1),
        [(4, 3), (4, 3)],
    ),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    function, shapes = CASES[name]
    generator = torch.Generator().manual_seed(len(name))
    assert_lowered_equals_float64(function, [torch.randn(shape, generator=generator) for shape in shapes])


def test_max_pool_gives_ties_to_the_first_maximum() -> None:
    x = torch.tensor([[[[1.0, 1.0], [0.0, 1.0]]]])
    assert_lowered_equals_float64(lambda v: F.max_pool2d(v, 2), [x])


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (4, 3, 5, 2)])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("tracked", [True, False])
def test_batch_norm_in_training_mode(shape: tuple[int, ...], affine: bool, tracked: bool) -> None:
    """Output, all gradients and the running statistics after the step."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(shape, generator=generator) * 3 + 5
    weight, bias = torch.randn(3, generator=generator), torch.randn(3, generator=generator)
    mean, var = torch.randn(3, generator=generator), torch.rand(3, generator=generator)

    def function(
        x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, mean: torch.Tensor, var: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        x, weight, bias = (v.detach().requires_grad_() for v in (x, weight, bias))
        mean, var = mean.clone(), var.clone()
        with torch.enable_grad():
            stats = (mean, var) if tracked else (None, None)
            y = F.batch_norm(x, *stats, *((weight, bias) if affine else (None, None)), training=True, momentum=0.3)
            wanted = [x, weight, bias] if affine else [x]
            gradients = torch.autograd.grad((y**3).sum(), wanted)
        y = y.detach()
        return (y, *gradients, mean, var) if tracked else (y, *gradients)

    inputs = [x, weight, bias, mean, var]
    expected = function(*(v.double() for v in inputs))
    for actual, exact in zip(run_lowered(function, inputs), expected, strict=True):
        assert torch.allclose(torch.from_numpy(actual).double(), exact, rtol=1e-4, atol=1e-4 * float(exact.abs().max()))


def test_batch_norm_does_not_write_over_its_inputs() -> None:
    """ONNX Runtime computes batch statistics in the buffers of two inputs, which must not be the caller's."""

    def function(x: torch.Tensor, mean: torch.Tensor, var: torch.Tensor) -> tuple[torch.Tensor, ...]:
        mean, var = mean.clone(), var.clone()
        return F.batch_norm(x, mean, var, training=True), mean, var

    inputs = [torch.randn(5, 3), torch.full((3,), 7.0), torch.full((3,), 9.0)]
    run_lowered(function, inputs)
    assert torch.equal(inputs[1], torch.full((3,), 7.0))
    assert torch.equal(inputs[2], torch.full((3,), 9.0))


def test_batch_norm_in_evaluation_mode() -> None:

    def function(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        mean = torch.full((3,), 0.5, dtype=x.dtype)
        return F.batch_norm(x, mean, mean + 1.5, weight, bias, training=False)

    assert_lowered_equals_float64(function, [torch.randn(4, 3, 5, 2), torch.randn(3), torch.randn(3)])


def test_equal_nodes_are_made_once() -> None:
    model = to_model(lambda x: ((x + 1) * (x + 1), (x + 1)), [torch.randn(3)])
    assert [node.op_type for node in model.graph.node].count("Add") == 1


def test_broadcasts_are_not_stored() -> None:
    model = to_model(lambda x: (x * x.mean(1, keepdim=True).expand(3, 4),), [torch.randn(3, 4)])
    assert "Expand" not in {node.op_type for node in model.graph.node}


def test_every_registered_operator_is_reached_by_a_test(request: pytest.FixtureRequest) -> None:
    """The registry holds nothing that no test names: each family's operators appear in the traces of this folder's cases."""
    from edgebll_export import lower as lower_module

    seen: set[str] = set()
    original = lower_module._Lowerer._call

    def recording(self: object, node: torch.fx.Node) -> object:
        seen.add(str(node.target))
        return original(self, node)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lower_module._Lowerer, "_call", recording)
        for name in CASES:
            test_value_and_gradient(name)
    own_tests = {"convolution", "normalization"}
    reached = {LOWERINGS[operator].function for operator in seen if operator in LOWERINGS}
    assert {e.operator for e in LOWERINGS.values() if e.function not in reached and e.family not in own_tests} == set()
