"""nn.Bilinear as one product of matrices and a sum, without PyTorch's loop over outputs."""

from __future__ import annotations

from torch import Tensor


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y_o = x1 W_o x2 + b_o for x1 (..., I), x2 (..., J) and W (O, I, J): (..., O)."""
    outputs, first, second = weight.shape
    rows = input1 @ weight.permute(1, 0, 2).reshape(first, outputs * second)
    result = (rows.reshape(*rows.shape[:-1], outputs, second) * input2.unsqueeze(-2)).sum(-1)
    return result if bias is None else result + bias
