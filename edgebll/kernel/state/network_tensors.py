"""All tensors of a block's network, whatever of them is state and whatever is frozen, with adapters merged into the weights.

An adapted layer X (see `edgebll.learning.adapters.low_rank`) has its own tensors as X.base.weight and X.base.bias, and the
correction as X.lora_a and X.lora_b. Merged, its weight is

    W = W0 + scale B A,    A (rank, in, ...) as a matrix (rank, in * ...), scale = alpha / rank
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgebll.kernel.spec.fine_tuning import NO_ADAPTER, FineTuning
from edgebll.kernel.state.block_state import Array, State

NET = "net."
_A, _B, _BASE = "lora_a", "lora_b", "base."


def network_tensors(state: State, constants: State, tuning: FineTuning) -> dict[str, Array]:
    """A block's tensors by the names they have in the user's own block.

    Args:
        state: of the block, e.g. of a bundle or a snapshot.
        constants: what is frozen in it, e.g. `Bundle.constants`.
        tuning: what the network was fine-tuned by.

    Examples:
        >>> import numpy as np
        >>> from edgebll.kernel.spec.fine_tuning import FineTuning
        >>> from edgebll.kernel.state.network_tensors import network_tensors
        >>> ones = np.ones((1, 1), np.float32)
        >>> state, constants = {"net.0.lora_a": 2 * ones, "net.0.lora_b": 3 * ones}, {"net.0.base.weight": ones}
        >>> network_tensors(state, constants, FineTuning(adapter="lora", rank=1))["0.weight"].item()
        7.0
    """
    found = {name.removeprefix(NET): value for name, value in {**constants, **state}.items() if name.startswith(NET)}
    leads = [name.removesuffix(_A) for name in found if name == _A or name.endswith(f".{_A}")]
    for lead in leads if tuning.adapter != NO_ADAPTER else ():
        _merge(found, lead, tuning.scale)
    return found


def _merge(tensors: dict[str, Array], lead: str, scale: float) -> None:
    """Put a layer's own tensors in the place of those of its adapter; all their names begin with `lead`."""
    a, b = (_floats(tensors.pop(lead + name)) for name in (_A, _B))
    for name in [name for name in tensors if name.startswith(lead + _BASE)]:
        tensors[lead + name.removeprefix(lead + _BASE)] = tensors.pop(name)
    tensors[f"{lead}weight"] = _floats(tensors[f"{lead}weight"]) + np.float32(scale) * np.tensordot(b, a, 1)


def _floats(value: Array) -> npt.NDArray[np.float32]:
    return np.asarray(value, np.float32)
