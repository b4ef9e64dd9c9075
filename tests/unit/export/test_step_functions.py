"""What people write inside a step: layers and tensor code whose gradient PyTorch traces in unusual ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support.graphs import run_model
from torch import Tensor, nn
from torch.func import functional_call, grad
from torch.nn import functional as F

from edgebll.kernel.errors import ExportError
from edgebll_export import export_step


class Causal(nn.Module):
    """Attention in which no position sees later ones."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=x.dtype)
        return self.attention(x, x, x, attn_mask=mask, need_weights=False)[0]


class Recurrent(nn.Module):
    """A cell that is called once a position."""

    def __init__(self, cell: type[nn.LSTMCell | nn.GRUCell]) -> None:
        super().__init__()
        self.cell = cell(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        state: Any = None
        for position in range(x.shape[1]):
            state = self.cell(x[:, position], state)
        return state[0] if isinstance(state, tuple) else state


def written_parts(w: Tensor, x: Tensor) -> Tensor:
    """Its gradient reads a tensor by strides."""
    z = x[:, 0] @ w
    out = torch.zeros(4, 5, dtype=z.dtype)
    out[:, 1:4] = z[:, 2:5] * 2
    out[0] = z[0]
    return out * z


def circular(w: Tensor, x: Tensor) -> Tensor:
    return F.pad((x @ w)[:1], (1, 2), mode="circular")


def by_class(w: Tensor, x: Tensor) -> Tensor:
    return F.one_hot(torch.arange(4) % 3, 5) * (x[:, 0] @ w)


LAYERS = [
    Causal(),
    nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True, norm_first=True, activation="gelu"),
    Recurrent(nn.LSTMCell),
    Recurrent(nn.GRUCell),
]
X = torch.randn(4, 3, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_gradients_of_layers_equal_float64(layer: nn.Module) -> None:
    check(lambda params, x: functional_call(layer, params, (x,)), dict(layer.named_parameters()))


@pytest.mark.parametrize("function", [written_parts, circular, by_class])
def test_gradients_of_tensor_code_equal_float64(function: Callable[[Tensor, Tensor], Tensor]) -> None:
    w = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    check(lambda params, x: function(params["w"], x), {"w": w})


def check(function: Callable[[dict[str, Tensor], Tensor], Tensor], params: dict[str, Tensor]) -> None:
    """The exported gradient of the mean square equals autograd's in float64."""

    def loss_of(params: dict[str, Tensor], x: Tensor) -> Tensor:
        return function(params, x).square().mean()

    def step(params: dict[str, Tensor], x: Tensor) -> dict[str, Tensor]:
        return grad(loss_of)(params, x)

    params = {name: value.detach() for name, value in params.items()}
    export = export_step(step, (params, X))
    inputs = {**{f"params.{name}": value.numpy() for name, value in params.items()}, "x": X.numpy()}
    found = run_model(export.model, {name: inputs[name] for name in export.inputs})
    double = {name: value.double().requires_grad_() for name, value in params.items()}
    expected = torch.autograd.grad(loss_of(double, X.double()), list(double.values()))
    for name, value in zip(params, expected, strict=True):
        np.testing.assert_allclose(found[name], value.numpy(), rtol=1e-4, atol=1e-6, err_msg=name)


def test_what_can_only_be_read_from_values_is_refused() -> None:
    with pytest.raises(ExportError, match="one_hot needs the number of classes"):
        export_step(lambda x: F.one_hot(x), torch.arange(3))
