"""Running an exported function twice: what keeps something between calls, or draws numbers by itself, is no function."""

from __future__ import annotations

import torch
from torch import Tensor

from edgebll.kernel.errors import ExportError
from edgebll_export.bundles.repetition import GeneratorWatch, copied_results, repeating, same_results
from edgebll_export.functions.step_call import Call


def eager_results(call: Call) -> dict[str, Tensor]:
    """What the function returns for its example, each time it is called.

    Args:
        call: the function and its example.

    Raises:
        ExportError: it returns other results the second time, or draws from Python's or numpy's generators; and what
            `Call.eager` raises.
    """
    watch = GeneratorWatch()
    with repeating():
        # PyTorch's own random numbers are refused when the function is traced, with the line that draws them.
        generator = torch.get_rng_state()
        results = copied_results(call.eager())
        torch.set_rng_state(generator)
        same, drawn = same_results(results, call.eager()), watch.moved()
    if drawn:
        raise ExportError(
            f"{call.name} draws random numbers from {' and '.join(sorted(drawn))}, which would be constants of its graph; draw "
            "them outside and give them as an argument"
        )
    if not same:
        raise ExportError(
            f"{call.name} gives other results when it is called again on the same example; give what it keeps between calls as "
            "an argument, and return it"
        )
    return results
