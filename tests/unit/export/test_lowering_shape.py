"""Views, joins, slices and filled tensors: value and gradient on ONNX Runtime against float64 autograd."""

import pytest
import torch
from support.graphs import assert_lowered_equals_eager, to_model, with_gradients
from support.lowering_cases import Case, case_inputs, check_case
from torch.nn import functional as F


def writes_through_views(x: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    """In-place operators on views of a value that is read afterwards."""
    y = x * 2
    y[1] = row
    y[:, ::2] = 0.5
    y[2:, 1].mul_(3)
    y[3].fill_(2.0)
    return y * x


def empty_writes(x: torch.Tensor) -> torch.Tensor:
    """Writes into slices that hold nothing."""
    y = x * 2
    y[3:1] = 0.0
    y[:, 5:2:2] = 1.0
    return y * x[3:1].sum()


CASES: dict[str, Case] = {
    "diagonal_scatter": (lambda x, y: torch.diagonal_scatter(x, y, 1, 2, 0), [(4, 2, 3), (2, 3)]),
    "diagonal_written": (lambda x: torch.diagonal_scatter(x, x[0, :3] * 2, -1), [(4, 3)]),
    "scalar_tensor": (lambda x: torch.where(x > 0, x, torch.scalar_tensor(0.5, dtype=x.dtype)), [(3, 4)]),
    "views": (lambda x: x.reshape(4, 6).unsqueeze(1).squeeze(1).t().transpose(0, 1).permute(1, 0), [(2, 3, 4)]),
    "transposed_twice": (lambda x: x.t().t() * x, [(3, 4)]),
    "slices": (lambda x: x[:, 1:3] * x[:, 2:4], [(3, 5)]),
    "select": (lambda x: x[1] * x[:, 2].sum(), [(3, 5)]),
    "cat": (lambda x, y: torch.cat([x, y * 2], 1), [(3, 2), (3, 4)]),
    "stack": (lambda x, y: torch.stack([x, y, x], 1), [(3, 2), (3, 2)]),
    "flatten": (lambda x: x.flatten(1) * 3, [(2, 3, 4)]),
    "likes": (lambda x: x * torch.ones_like(x) + torch.zeros_like(x) + torch.full_like(x, 2.0), [(2, 3)]),
    "filled": (lambda x: x + torch.full((2, 3), 2.0, dtype=x.dtype) + torch.eye(2, 3, dtype=x.dtype), [(2, 3)]),
    "zeros_ones": (lambda x: x + torch.zeros(2, 3, dtype=x.dtype) + torch.ones(3, dtype=x.dtype), [(2, 3)]),
    "slices_in_steps": (lambda x: x[1::3, :-1:2] * x[:4:3, 1::2], [(7, 5)]),
    "slice_from_the_end": (lambda x: x[:, -3:-1] * x[:, -1:], [(3, 5)]),
    "flip": (lambda x: x.flip(0, 2), [(3, 4, 2)]),
    "roll": (lambda x: x.roll((1, -1), (0, 1)) + x.roll(2), [(3, 4)]),
    "parts": (lambda x: x[2] * x[0] * 3 + x[1], [(3, 4)]),
    "parts_with_a_gap": (lambda x: x[:, 3:] * x[:, :1], [(3, 4)]),
    "parts_along_two_axes": (lambda x: x[1:, :2] * x[:1, 2:], [(2, 4)]),
    "split": (lambda x: x.split([1, 3], 1)[0] * x.split(2, 1)[1], [(3, 4)]),
    "unsafe_split": (lambda x: x.unsafe_split(2, 1)[0] * x.unsafe_split(2, 1)[1], [(3, 4)]),
    "chunk": (lambda x: x.chunk(2, 1)[0] * x.chunk(3, 1)[-1], [(3, 4)]),
    "unbind": (lambda x: x.unbind(1)[0] * x.unbind(1)[2], [(3, 4)]),
    "repeat": (lambda x: x.repeat(2, 1, 3), [(3, 4)]),
    "tile": (lambda x: x.tile(2) * 2, [(3, 1)]),
    "repeat_interleave": (lambda x: x.repeat_interleave(2, 1), [(3, 4)]),
    "movedim": (lambda x: x.movedim(1, -1).mT * 2, [(2, 3, 4, 5)]),
    "unflatten": (lambda x: x.unflatten(1, (2, 2)), [(3, 4)]),
    "diagonal": (lambda x: torch.diagonal(x, 1) * 2, [(4, 5)]),
    "diagonal_of_batch": (lambda x: torch.diagonal(x, -1, 0, 2) * 2, [(4, 2, 3)]),
    "diag_embed": (torch.diag_embed, [(3, 4)]),
    "triangles": (lambda x: x.tril() * 2 + x.triu(1), [(4, 4)]),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), [(2, 8, 3, 2)]),
    "pixel_unshuffle": (lambda x: F.pixel_unshuffle(x, 2), [(2, 3, 4, 6)]),
    "channel_shuffle": (lambda x: F.channel_shuffle(x, 3), [(2, 6, 2, 2)]),
    "class_token": (lambda x, t: torch.cat([t.expand(3, -1, -1), x], 1), [(3, 4, 2), (1, 1, 2)]),
    "empty_writes": (empty_writes, [(4, 6)]),
    "writes_through_views": (writes_through_views, [(4, 5), (5,)]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])


def test_gradients_of_slices_are_joined() -> None:
    model = to_model(with_gradients(CASES["parts"][0]), case_inputs("parts", CASES["parts"]))
    operators = [node.op_type for node in model.graph.node]
    assert "Pad" not in operators
    assert operators.count("Concat") == 1


def test_parts_of_mixed_types_are_joined_in_the_common_one() -> None:
    whole, half = torch.tensor([1, 2]), torch.tensor([0.5, -1.0]).half()
    assert_lowered_equals_eager(
        lambda n, h: (
            torch.cat([n, h]),
            torch.stack([h, n.float()]),
            torch.cat([n, n > 1]),
            torch.cat([torch.zeros(0), n[None]], 1),
        ),
        [whole, half],
    )


def test_scalars_take_an_axis() -> None:
    assert_lowered_equals_eager(
        lambda x: (x.squeeze(0), x.squeeze(-1), x.flip(0), x.transpose(0, -1), x.unsqueeze(0)), [torch.tensor(1.5)]
    )
