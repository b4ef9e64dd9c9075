"""Embedding, gathering and indexing: value and gradient on ONNX Runtime against float64 autograd."""

import pytest
import torch
from support.lowering_cases import Case, check_case
from torch.nn import functional as F

IDS = torch.tensor([[0, 3, 2, 6, 3], [1, 2, 2, 5, 0]])
COLUMNS = torch.tensor([[0, 1], [3, 2], [1, 1]])

CASES: dict[str, Case] = {
    "embedding": (lambda w: F.embedding(IDS, w), [(7, 4)]),
    "embedding_of_an_input": (lambda i, w: F.embedding(i.long(), w), [IDS.float(), (7, 4)]),
    "embedding_with_padding": (lambda i, w: F.embedding(i, w, padding_idx=2), [IDS, (7, 4)]),
    "one_hot": (lambda i, w: F.one_hot(i.long(), 7).to(w.dtype) @ w, [IDS.float(), (7, 4)]),
    "gather": (lambda x, i: torch.gather(x, 1, i), [(3, 4), COLUMNS]),
    "gather_of_fewer_rows": (lambda x: torch.gather(x, 2, torch.tensor([[[0, 1, 1]]])), [(2, 3, 4)]),
    "scatter": (lambda x, i: torch.zeros(3, 5, dtype=x.dtype).scatter(1, i, x), [(2, 2), COLUMNS[:2]]),
    "scatter_of_number": (lambda x, i: x.scatter(1, i, 2.0), [(3, 4), COLUMNS[:, :1]]),
    "scatter_add": (lambda x, y, i: x.scatter_add(1, i, y), [(3, 5), (3, 2), COLUMNS]),
    "index_select": (lambda x, i: torch.index_select(x, 1, i), [(3, 4), torch.tensor([0, 3, 3])]),
    "index_add": (lambda x, y: x.index_add(0, torch.tensor([2, 0, 2]), y, alpha=0.5), [(3, 4), (3, 4)]),
    "index": (lambda x, i: x[i] * x[:, None, [0, 2, 2]].sum(), [(3, 4), torch.tensor([[0, -1], [2, 2]])]),
    "index_without_repetition": (lambda x: x[:, [3, 0]], [(3, 4)]),
    "index_of_pairs": (lambda x, i: x[torch.arange(3), i], [(3, 4), torch.tensor([0, -2, 2])]),
    "index_of_inner_axes": (lambda x, i: x[:, torch.arange(3), i], [(2, 3, 4), torch.tensor([0, 2, 2])]),
    "index_put": (lambda x, y: x.index_put((torch.tensor([0, 2]),), y), [(3, 4), (2, 4)]),
    "index_put_of_an_input": (lambda x, y, i: x.index_put((i,), y), [(3, 4), (2, 4), torch.tensor([2, 0])]),
    "index_put_by_mask": (lambda x: (x * 2).index_put((x > 0,), torch.tensor(0.5, dtype=x.dtype)), [(3, 4)]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])
