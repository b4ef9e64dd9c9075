"""The registry holds nothing that no test reaches."""

from support.lowering_cases import all_cases, reached_operators

from edgebll_export.registry import LOWERINGS

_OWN_TESTS = {"convolution", "normalization"}


def test_every_registered_operator_is_reached_by_a_test() -> None:
    """Each lowering appears in the traces of some family's cases, which compare it with float64 autograd."""
    reached = {LOWERINGS[name].function for name in reached_operators(all_cases()) if name in LOWERINGS}
    missed = {
        entry.operator for entry in LOWERINGS.values() if entry.function not in reached and entry.family not in _OWN_TESTS
    }
    assert missed == set()
