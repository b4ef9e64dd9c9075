"""How far rounding moves each result of a function: its reach, for `edgebll.kernel.state.numerical_comparison`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from torch import Tensor

from edgebll.kernel.errors import EdgebllError
from edgebll.kernel.spec.manifest import NEXT
from edgebll.kernel.state.block_state import Array
from edgebll.kernel.state.numerical_comparison import Reach, Size, largest, movement
from edgebll_export.bundles.random_rounding import RandomRounding
from edgebll_export.bundles.repetition import copied_results, repeating, same_results

Function = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]

#: Runs that round at random, where all are made beforehand.
TRIALS = 6
#: And where one is made after the other until they explain a difference. A comparison that rounding turns shows in half of the
#: runs, so that after six one in 64 is unseen, which in a day of verifying is one too many.
ASKED_TRIALS = 16
#: Of functions that compute more numbers than this in one run so few: chance evens out in tensors so large.
FEW_TRIALS, MANY_NUMBERS = 3, 1 << 25


def growing_reaches(
    function: Function, inputs: Mapping[str, Tensor], expected: Mapping[str, Array], trials: int = ASKED_TRIALS
) -> Iterator[dict[str, Reach]]:
    """The reach of each result, as far as is known after each run; it only grows, so that who has seen enough may stop.

    A function that gives other results by itself has no reach: rounding is not what moves it.

    Args:
        function: of the named inputs, to results by name; the result "w.next" is what becomes of the state tensor "w".
        inputs: where it is looked at.
        expected: what it gives there.
        trials: largest number of runs.
    """
    if _is_repeatable(function, inputs):
        yield from _growing(function, inputs, expected, trials)


def _growing(
    function: Function, inputs: Mapping[str, Tensor], expected: Mapping[str, Array], trials: int
) -> Iterator[dict[str, Reach]]:
    before = {name: inputs[name.removesuffix(NEXT)].detach().numpy() for name in expected if _is_state(name, inputs)}
    found: dict[str, Reach] = {name: _nothing(value) for name, value in expected.items()}
    for moved, results in _moved_runs(function, inputs, trials):
        for name, reach in found.items():
            result = results[name].detach().numpy()
            if isinstance(reach, Size):
                started = moved[name.removesuffix(NEXT)].detach().numpy() if name in before else None
                now = movement(result, expected[name], before=before.get(name), moved_before=started)
                found[name] = largest([reach, now])
            else:
                found[name] = reach | (result != expected[name])
        yield dict(found)


def reaches(function: Function, inputs: Mapping[str, Tensor], expected: Mapping[str, Array]) -> dict[str, Reach]:
    """The reach of each result after TRIALS runs, see `growing_reaches`; of a function that is known to be one."""
    nothing: dict[str, Reach] = {name: _nothing(value) for name, value in expected.items()}
    return [nothing, *_growing(function, inputs, expected, TRIALS)][-1]


def _is_repeatable(function: Function, inputs: Mapping[str, Tensor]) -> bool:
    """Whether two runs without rounding at random agree; they are given copies, for functions may write into their inputs."""
    try:
        with repeating():
            first, second = (copied_results(function(_copies(inputs))) for _ in range(2))
    except EdgebllError:
        return False
    return same_results(first, second)


def _copies(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone().requires_grad_(value.requires_grad) for name, value in inputs.items()}


def _nothing(value: Array) -> Reach:
    return Size(0.0, 0.0) if value.dtype.kind == "f" else np.zeros(value.shape, np.bool_)


def _is_state(name: str, inputs: Mapping[str, Tensor]) -> bool:
    return name.endswith(NEXT) and name.removesuffix(NEXT) in inputs


def _moved_runs(
    function: Function, inputs: Mapping[str, Tensor], trials: int
) -> Iterator[tuple[Mapping[str, Tensor], Mapping[str, Tensor]]]:
    """Inputs and results of runs that round at random; a run that fails says nothing."""
    trial = 0
    while trial < trials:
        arithmetic = RandomRounding(trial)
        moved = {name: arithmetic.moved(value) for name, value in inputs.items()}
        trial += 1
        try:
            with arithmetic:
                results = function(moved)
        except EdgebllError:
            continue
        if arithmetic.elements > MANY_NUMBERS:
            trials = FEW_TRIALS
        yield moved, results
