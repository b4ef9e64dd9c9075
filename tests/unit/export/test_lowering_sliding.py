"""nn.Unfold, nn.Fold and Tensor.unfold: value and gradient on ONNX Runtime against float64 autograd."""

import pytest
from support.lowering_cases import Case, check_case
from torch.nn import functional as F

CASES: dict[str, Case] = {
    "unfold": (lambda x: F.unfold(x, 3), [(2, 3, 6, 5)]),
    "unfold_all_options": (lambda x: F.unfold(x, (3, 2), dilation=(1, 2), padding=(1, 0), stride=(2, 1)), [(2, 3, 6, 5)]),
    "unfold_without_batch": (lambda x: F.unfold(x, 2, stride=2), [(3, 6, 5)]),
    "fold": (lambda x: F.fold(x, (5, 6), 3), [(2, 18, 12)]),
    "fold_all_options": (
        lambda x: F.fold(x, (6, 5), (3, 2), dilation=(1, 2), padding=(1, 0), stride=(2, 1)),
        [(2, 12, 9)],
    ),
    "fold_without_batch": (lambda x: F.fold(x, (4, 4), 2, stride=2), [(8, 4)]),
    "windows_of_an_axis": (lambda x: x.unfold(1, 3, 1), [(2, 7, 3)]),
    "windows_that_leave_elements_out": (lambda x: x.unfold(-1, 2, 3), [(2, 3, 9)]),
    "windows_of_several_steps": (lambda x: x.unfold(0, 5, 2), [(10, 2)]),
    "windows_side_by_side": (lambda x: x.unfold(1, 4, 4), [(2, 11)]),
    "windows_that_overlap_much": (lambda x: x.unfold(1, 40, 1), [(2, 45)]),
    "window_of_a_scalar": (lambda x: x.sum().unfold(0, 1, 1), [(2,)]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])
