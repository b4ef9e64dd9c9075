"""Embedding, gathering and indexing: value and gradient on ONNX Runtime against float64 autograd."""

import pytest
import torch
from support.graphs import Function, assert_lowered_equals_eager, run_lowered
from support.lowering_cases import Case, check_case
from torch.nn import functional as F

IDS = torch.tensor([[0, 3, 2, 6, 3], [1, 2, 2, 5, 0]])
COLUMNS = torch.tensor([[0, 1], [3, 2], [1, 1]])
OFFSETS = torch.tensor([0, 2, 2])

CASES: dict[str, Case] = {
    **{f"bags_{mode}": (lambda w, mode=mode: F.embedding_bag(IDS, w, mode=mode), [(7, 4)]) for mode in ("sum", "mean", "max")},
    **{
        f"bags_{mode}_by_offsets": (lambda w, o, mode=mode: F.embedding_bag(IDS[0], w, o, mode=mode), [(7, 4), OFFSETS])
        for mode in ("sum", "mean", "max")
    },
    **{
        f"bags_{mode}_with_padding": (lambda w, mode=mode: F.embedding_bag(IDS, w, mode=mode, padding_idx=2), [(7, 4)])
        for mode in ("sum", "mean", "max")
    },
    "bags_weighted": (lambda w, p: F.embedding_bag(IDS, w, per_sample_weights=p, mode="sum"), [(7, 4), (2, 5)]),
    "bags_weighted_by_offsets": (
        lambda w, p, o: F.embedding_bag(IDS[0], w, o, per_sample_weights=p, mode="sum", include_last_offset=True),
        [(7, 4), (5,), torch.tensor([0, 2, 5])],
    ),
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
    "scatter_along_rows": (lambda x, y, i: x.scatter(0, i, y), [(5, 3), (2, 2), torch.tensor([[4, 1], [0, 3]])]),
    "scatter_of_one_each": (lambda x, y, i: x.scatter(1, i, y), [(3, 4), (3, 1), COLUMNS[:, :1]]),
    "index_put_added_by_mask": (
        lambda x: (x * 2).index_put((x > 0,), torch.tensor(0.5, dtype=x.dtype), accumulate=True),
        [(3, 4)],
    ),
    "index_put_of_rows_by_mask": (lambda x: (x * 2).index_put((x[:, 0] > 0,), torch.arange(4).to(x.dtype)), [(3, 4)]),
    "index_by_one_repeated_position": (lambda x: x[torch.tensor([2, 2])] * x[:2], [(3, 4)]),
    "index_put_by_mask": (lambda x: (x * 2).index_put((x > 0,), torch.tensor(0.5, dtype=x.dtype)), [(3, 4)]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])


ROWS, TWICE = torch.arange(3)[:, None], torch.tensor([[1, 1], [2, 2], [0, 3]])
X = torch.linspace(-1, 1, 18).reshape(3, 6)
INFINITE = torch.tensor([[torch.inf, 1.0], [2.0, torch.nan], [-torch.inf, 3.0]])

#: Positions that meet: PyTorch writes them in order, so that the last stays; the indices are inputs or constants.
MEETING: dict[str, tuple[Function, list[torch.Tensor]]] = {
    "scatter of a number": (lambda x, i: (x.scatter(1, i, 7.0),), [X, TWICE]),
    "scatter": (lambda x, i, y: (x.scatter(1, i, y),), [X, TWICE, INFINITE]),
    "scatter of integers": (lambda x, i: ((x * 9).long().scatter(1, i, i * 2**40),), [X, TWICE]),
    "scatter of truth values": (lambda x, i: ((x > 0).scatter(1, i, i > 1), (x > 0).scatter(1, i, True)), [X, TWICE]),
    "scatter at known positions": (lambda x, y: (x.scatter(1, TWICE, y),), [X, INFINITE]),
    "index_put of a number": (lambda x, i: (x.index_put((ROWS, i), torch.tensor(7.0)),), [X, TWICE]),
    "index_put": (lambda x, i, y: (x.index_put((ROWS, i), y),), [X, TWICE, INFINITE]),
    "index_put of rows": (lambda x, i, y: (x.index_put((i,), y),), [X, torch.tensor([2, 2]), X[:2] * 3]),
    "index_put at known positions": (lambda x, y: (x.index_put((torch.tensor([2, 2]),), y),), [X, X[:2] * 3]),
    "assignment": (lambda x, i: (assigned(x, i),), [X, torch.tensor([2, -1])]),
}


def assigned(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    y = x.clone()
    y[index] = 7.0
    return y


@pytest.mark.parametrize("name", list(MEETING))
def test_positions_that_meet_take_the_last(name: str) -> None:
    assert_lowered_equals_eager(*MEETING[name])


def test_an_example_with_single_positions_holds_for_meeting_ones() -> None:
    """A graph does not know how often a position will come."""
    ones = run_lowered(lambda x, i: (torch.zeros_like(x).scatter(1, i, 1.0),), [X, TWICE])
    assert set(ones[0].reshape(-1).tolist()) == {0.0, 1.0}
