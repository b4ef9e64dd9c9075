"""Arithmetic, comparison and conversion: value and gradient on ONNX Runtime against float64 autograd."""

import numpy as np
import pytest
import torch
from support.graphs import Function, assert_lowered_equals_eager, run_lowered
from support.lowering_cases import Case, check_case

from edgebll.kernel.errors import ExportError

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
    "clamp_of_integers": (lambda x: x * (3 * x).long().clamp(-1, 2) * (x > 0).long().clamp(min=1), [(3, 4)]),
    "maximum": (lambda x, y: torch.maximum(x, y), [(3, 4), (3, 4)]),
    "minimum": (lambda x, y: torch.minimum(x, y), [(3, 4), (3, 4)]),
    "logical": (lambda x, y: x * (((x > 0) & (y > 0)) | ~(x < -0.5)).float(), [(3, 4), (3, 4)]),
    "fill": (lambda x, y: torch.fill(x, 2.0) * x + torch.fill(x, y), [(3, 4), ()]),
    "masked_fill": (lambda x: x.masked_fill(x > 0.3, 2.0), [(3, 4)]),
    "logical_not": (lambda x: x * torch.logical_not(x > 0.3).float(), [(3, 4)]),
    "where": (lambda x, y: torch.where(x > y, x * 2, y), [(3, 4), (3, 4)]),
    "compare": (lambda x, y: x * ((x >= y).float() + (x < 0).float() + (x <= y).float() + (x != 0).float()), [(3, 4), (3, 4)]),
    "erf": (torch.erf, [(3, 4)]),
    "sin_cos": (lambda x: x.sin() * x.cos(), [(3, 4)]),
    "floor_ceil_sign": (lambda x: x * (x.floor() + x.ceil() + x.sign()), [(3, 4)]),
    "round_trunc_frac": (lambda x: x * ((3 * x).round() + (3 * x).trunc()) + (3 * x).frac(), [(3, 4)]),
    "remainders": (lambda x, y: (3 * x) % 0.7 + torch.fmod(3 * x, 0.7) + x % y + torch.fmod(x, y), [(3, 4), (3, 4)]),
    "quotients_rounded": (
        lambda x, i: x * (torch.div(x, 0.3, rounding_mode="floor") + (i // 3) + i % 3 + torch.div(i, 3, rounding_mode="trunc")),
        [(3, 4), torch.arange(-6, 6).reshape(3, 4)],
    ),
    "trigonometry": (lambda x: x.tan() + x.tanh().asin() + x.tanh().acos() + x.atan(), [(3, 4)]),
    "hyperbolic": (lambda x: x.sinh() + x.cosh() + x.asinh() + (x * x + 1.5).acosh() + x.tanh().atanh(), [(3, 4)]),
    "atan2": (torch.atan2, [(3, 4), (3, 4)]),
    "log1p": (lambda x: torch.log1p(x.abs()), [(3, 4)]),
    "expm1": (torch.expm1, [(3, 4)]),
    "logarithms": (lambda x: (x * x + 1).log2() + (x * x + 1).log10(), [(3, 4)]),
    "exp2": (torch.exp2, [(3, 4)]),
    "pow_of_tensors": (lambda x, y: torch.pow(x.abs() + 0.1, y), [(3, 4), (3, 4)]),
    "pow_of_number": (lambda y: torch.pow(2.0, y), [(3, 4)]),
    "clamp_by_tensors": (lambda x, y: torch.clamp(x, y, y + 1), [(3, 4), (3, 4)]),
    "clamp_on_one_side": (lambda x: x.clamp(min=0.1) * x.clamp_max(0.3), [(3, 4)]),
    "lerp": (torch.lerp, [(3, 4), (3, 4), (3, 4)]),
    "addcmul": (lambda x, y: torch.addcmul(x, x, y, value=0.5), [(3, 4), (3, 4)]),
    "addcdiv": (lambda x, y: torch.addcdiv(x, y, x * x + 1), [(3, 4), (3, 4)]),
    "xlogy": (lambda x, y: torch.xlogy(x, y * y + 0.1), [(3, 4), (3, 4)]),
    "xlogy_of_zero": (lambda y: torch.xlogy(torch.zeros(3, 4, dtype=y.dtype), y * y), [(3, 4)]),
    "logit": (lambda x: torch.logit(x.sigmoid(), 1e-3), [(3, 4)]),
    "promotion": (lambda x: x * ((x > 0).long() * 0.5) + x * (x > 0).sum() / 2 + x * torch.tensor(0.5), [(3, 4)]),
    "promotion_of_comparisons": (lambda x: x * ((x > 0).long() < x) + torch.where(x > 0, x, (x > 1).long()), [(3, 4)]),
    "logical_of_floats": (lambda x, y: x * (torch.logical_and(x.relu(), y) ^ torch.logical_or(x, y)), [(3, 4), (3, 4)]),
    "logical_xor_not": (lambda x, y: x * torch.logical_xor(x.relu(), torch.logical_not(y.relu())), [(3, 4), (3, 4)]),
    "bitwise_not_of_integers": (lambda x: x * ~(3 * x).long(), [(3, 4)]),
    "positions": (lambda x: x + torch.sin(torch.arange(4) * 0.1) + torch.linspace(0, 1, 4), [(3, 4)]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])


def test_log1p_and_expm1_keep_small_numbers() -> None:
    x = torch.tensor([-1e-3, -1e-6, 1e-12, 1e-7, 1e-4, 0.3, 0.7, 5.0])
    for function in (torch.log1p, torch.expm1):
        (actual,) = run_lowered(lambda v, f=function: (f(v),), [x])
        np.testing.assert_allclose(actual, function(x.double()).numpy(), rtol=5e-7)


def test_log1p_of_minus_one_is_minus_infinity() -> None:
    (actual,) = run_lowered(lambda v: (torch.log1p(v),), [torch.tensor([-1.0])])
    assert actual == [-np.inf]


def test_log1p_of_infinity_is_infinity() -> None:
    x = torch.tensor([0.0, 1.0, torch.inf, 3e38])
    assert_lowered_equals_eager(lambda v: (torch.log1p(v),), [x])


INTS = torch.tensor([[3, -4], [0, 7]])
BYTES = torch.tensor([[3, 250], [0, 7]], dtype=torch.uint8)
TRUTH = torch.tensor([[True, False], [False, True]])
FLOATS = torch.tensor([[0.5, -1.5], [0.0, 2.0]])
HALVES = torch.tensor([[1.0, 1000.0], [-3.0, 0.25]], dtype=torch.float16)
SCALAR = torch.tensor(2.0)

#: What PyTorch computes on tensors and numbers of these types: dtype, shape and content are to be the same.
TYPES: dict[str, tuple[Function, list[torch.Tensor]]] = {
    "integers divide as floats": (lambda n: (n / 2, n / n.abs().add(1), 7 / (n * n + 1), n / 1), [INTS]),
    "bytes divide as floats": (lambda n: (n / 255, n / n.add(1)), [BYTES]),
    "truth values divide as floats": (lambda m: (m / 2, m / torch.tensor(4)), [TRUTH]),
    "neutral numbers change the type": (lambda n, m: (n * 1.0, n + 0.0, n - 0.0, n / 1, m * 1, m + 0, n**1.0), [INTS, TRUTH]),
    "neutral tensors change the shape": (
        lambda s: (s * torch.ones(3), s + torch.zeros(2, 3), s - torch.zeros(3), s / torch.ones(1, 2)),
        [SCALAR],
    ),
    "neutral tensors change the type": (lambda x: (x * torch.ones(2, 2), x + torch.zeros(2)), [HALVES]),
    "bytes wrap around": (lambda n: (n + 10, n * n, n - 5, -n, n + INTS, torch.relu(n)), [BYTES]),
    "truth values": (
        lambda m, k: (m * 3, m + 2, m * k, m + k, torch.maximum(m, k), torch.minimum(m, k), m * 0.5),
        [TRUTH, TRUTH.T.contiguous() & torch.tensor([True, False])],
    ),
    "functions of truth values": (lambda m: (m.sign(), m.square(), m**3, m.exp()), [TRUTH]),
    "powers": (lambda n: (n**3, n**0, n**2, n**2.0, n**1, n.abs() ** 0.5, n ** n.abs()), [INTS]),
    "functions of integers": (
        lambda n: (
            *(function(n) for function in (torch.exp, torch.sigmoid, torch.tanh, torch.sin, torch.erf, torch.expm1)),
            *(function(n.abs() + 1) for function in (torch.sqrt, torch.log, torch.rsqrt, torch.log1p, torch.reciprocal)),
            *(function(n) for function in (torch.floor, torch.ceil, torch.sign, torch.abs, torch.neg, torch.isnan, torch.exp2)),
        ),
        [INTS],
    ),
    "numbers float16 does not hold": (lambda x: (x * 1e-8, (x / 64) / 1e5, (x * 1e-5) * 1e6, x + 1e5), [HALVES]),
    "integers against fractions": (
        lambda n: (n < 0.5, n >= 2.5, n == 0.5, n != 6.5, torch.where(n > 2.5, n, 0.5), n > torch.tensor(6.5)),
        [INTS],
    ),
    "truth values against numbers": (lambda m: (m > 0, m >= 1, m == 1, m != 2, m == True, m < m.T, m != m.T), [TRUTH]),  # noqa: E712
    "choices": (
        lambda m, n, x: (
            torch.where(m, 1.5, n),
            torch.where(m, x, n),
            torch.where(m, 1, 0),
            n.masked_fill(m, 5),
            x.masked_fill(m, 2),
        ),
        [TRUTH, INTS, FLOATS],
    ),
    "masked truth values": (lambda m: (m.masked_fill(m.T.logical_not(), True), m.masked_fill(m.T, False)), [TRUTH]),
    "xlogy of integers": (lambda n, x: (torch.xlogy(n, x.abs() + 1), torch.xlogy(x, n.abs() + 1)), [INTS, FLOATS]),
    "extremes of mixed types": (
        lambda x, h, n: (torch.maximum(x, h), torch.minimum(n, x), torch.maximum(n, n.int())),
        [FLOATS, HALVES, INTS],
    ),
    "limits of integers": (lambda n, b: (n.clamp(-1, 2), n.clamp(min=0.5), b.clamp(max=9), n.clamp(max=6.5)), [INTS, BYTES]),
    "mixed floats": (lambda x, h: (x + h, h * x.double(), h / 2, x * torch.tensor(2.0, dtype=torch.float64)), [FLOATS, HALVES]),
}


@pytest.mark.parametrize("name", list(TYPES))
def test_types_are_pytorchs(name: str) -> None:
    function, inputs = TYPES[name]
    assert_lowered_equals_eager(function, inputs, 1e-3 if any(value.dtype == torch.float16 for value in inputs) else 1e-6)


def test_a_schedule_of_integer_steps_divides() -> None:
    (found,) = run_lowered(lambda t: (0.1 * torch.clamp(t / 100, max=1.0),), [torch.tensor(25)])
    np.testing.assert_allclose(found, 0.025, rtol=1e-6)


@pytest.mark.parametrize(
    ("function", "x", "words"),
    [
        (lambda n: (n & n,), INTS, "bits of integers"),
        (lambda x: (torch.erf(x),), FLOATS.double(), "has no Erf of float64"),
    ],
)
def test_what_graphs_cannot_compute_is_refused_with_its_place(function: Function, x: torch.Tensor, words: str) -> None:
    with pytest.raises(ExportError, match=words + r".*operator aten\.\w+"):
        run_lowered(function, [x])
