"""Operators that run a graph inside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgebll.kernel.errors import BundleError
from edgebll_devices.runtimes.reference.operators.registry import Value, operator


@operator("Scan", max_outputs=1 << 16)
def scan(
    first: Value, /, *others: Value, body: Callable[..., Sequence[Value]], num_scan_inputs: int, num_outputs: int
) -> list[Value]:
    """The graph once for each row of the last inputs, with states handed from row to row; last states, then rows of results.

    Rows are those of the first axis, from first to last: what a Scan without further attributes does.
    """
    values = (first, *others)
    if not 1 <= num_scan_inputs <= len(values):
        raise BundleError(f"{num_scan_inputs} of {len(values)} inputs cannot be scanned")
    states, scanned = list(values[: len(values) - num_scan_inputs]), values[len(values) - num_scan_inputs :]
    lengths = {len(value) for value in scanned}
    if len(lengths) != 1 or lengths == {0}:
        raise BundleError(
            f"the scanned inputs have {', '.join(map(str, sorted(lengths)))} rows; they need as many, at least one"
        )
    rows: list[Sequence[Value]] = []
    for index in range(lengths.pop()):
        results = body(*states, *(value[index] for value in scanned))
        states, made = list(results[: len(states)]), results[len(states) :]
        rows.append(made)
    return [*states, *(np.stack(column) for column in zip(*rows, strict=True))]
