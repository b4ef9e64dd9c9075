"""Attention and whole transformer layers: value and gradients on ONNX Runtime against float64 autograd."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from support.graphs import to_model, with_gradients
from support.lowering_cases import Case, case_inputs, check_case
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from edgebll.kernel.errors import ExportError

Q, K, V = (2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 4)
_CAUSAL = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)
_EMPTY_ROW = torch.ones(5, 6, dtype=torch.bool).tril() & (torch.arange(5)[:, None] != 2)


def attend(**options: Any) -> Callable[..., Tensor]:
    return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options)


def module_case(module: nn.Module, *shapes: tuple[int, ...], **options: Any) -> Case:
    """The module as a function of its inputs and all its parameters."""
    names = [name for name, _ in module.named_parameters()]
    weights = [value.detach() for value in module.parameters()]

    def function(*tensors: Tensor) -> Tensor:
        given = dict(zip(names, tensors[len(shapes) :], strict=True))
        result = functional_call(module, given, tensors[: len(shapes)], options)
        parts = [part for part in result if part is not None] if isinstance(result, tuple) else [result]
        return torch.cat([part.flatten() for part in parts])

    return function, [*shapes, *weights]


def self_attention(**options: Any) -> Case:
    torch.manual_seed(0)
    module = nn.MultiheadAttention(8, 2, batch_first=True)
    function, inputs = module_case(module, (2, 5, 8), (2, 5, 8), (2, 5, 8), **options)
    return lambda x, *weights: function(x, x, x, *weights), [inputs[0], *inputs[3:]]


def layer(kind: type[nn.Module], *shapes: tuple[int, ...], **options: Any) -> Case:
    torch.manual_seed(0)
    return module_case(kind(8, 2, 16, dropout=0.0, batch_first=True, **options), *shapes)


CASES: dict[str, Case] = {
    "plain": (attend(), [Q, K, V]),
    "causal": (attend(is_causal=True), [Q, Q, Q]),
    "scale": (attend(scale=0.3), [Q, K, V]),
    "boolean mask": (attend(attn_mask=torch.ones(5, 6, dtype=torch.bool).tril()), [Q, K, V]),
    "boolean mask with an empty row": (attend(attn_mask=_EMPTY_ROW), [Q, K, V]),
    "mask from an input": (lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m > 0), [Q, K, V, (5, 6)]),
    "float mask": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=torch.ones(5, 6, dtype=q.dtype).tril()),
        [Q, K, V],
    ),
    "float mask with a gradient": (
        lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m),
        [Q, K, V, (2, 1, 5, 6)],
    ),
    "grouped queries": (attend(enable_gqa=True), [(2, 4, 5, 4), (2, 2, 6, 4), (2, 2, 6, 4)]),
    "without batch": (attend(), [(3, 5, 4), (3, 6, 4), (3, 6, 4)]),
    "another value size": (attend(), [Q, K, (2, 3, 6, 7)]),
    "multi-head": self_attention(need_weights=False),
    "multi-head with weights": self_attention(need_weights=True),
    "multi-head with weights of each head": self_attention(need_weights=True, average_attn_weights=False),
    "multi-head causal": self_attention(need_weights=False, attn_mask=_CAUSAL, is_causal=True),
    "multi-head masked with weights": self_attention(need_weights=True, attn_mask=_CAUSAL),
    "multi-head padded keys": self_attention(need_weights=False, key_padding_mask=torch.arange(5) > torch.tensor([[2], [3]])),
    "multi-head cross": module_case(nn.MultiheadAttention(8, 2, kdim=6, vdim=4), (5, 2, 8), (3, 2, 6), (3, 2, 4)),
    "encoder layer": layer(nn.TransformerEncoderLayer, (2, 5, 8)),
    "encoder layer, norm first, gelu": layer(nn.TransformerEncoderLayer, (2, 5, 8), norm_first=True, activation="gelu"),
    "decoder layer": layer(nn.TransformerDecoderLayer, (2, 5, 8), (2, 6, 8)),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])


def test_the_backward_pass_computes_no_weights_again() -> None:
    model = to_model(with_gradients(CASES["plain"][0]), case_inputs("plain", CASES["plain"]))
    operators = [node.op_type for node in model.graph.node]
    assert operators.count("Softmax") == 1
    assert operators.count("MatMul") == 6


def test_dropout_inside_attention_is_refused() -> None:
    with pytest.raises(ExportError, match="SeededDropout"):
        to_model(lambda q, k, v: (attend(dropout_p=0.1)(q, k, v),), case_inputs("plain", CASES["plain"]))
