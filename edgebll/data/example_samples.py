"""Real samples for exporting and verifying: some of the data set that the network was trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebll.data.registry import load_dataset
from edgebll.kernel.errors import ConfigError, DataError, MissingExtraError

if TYPE_CHECKING:
    from edgebll.kernel.spec.manifest import TensorSpec

#: So many samples, or one batch if that is more.
_SAMPLES = 1024


def training_samples(
    data: Any,
    x: TensorSpec,
    data_dir: Path | None,
    tell: Callable[[str], None],
    options: Any = None,
    side: Sequence[TensorSpec] = (),
) -> Any:
    """Samples of a data set as a network takes them; None, and the reason said, if it is not here or no longer fits.

    Args:
        data: name of the data set, or the path of own data; anything but a text for none.
        x: the network's input.
        data_dir: where the files may be.
        tell: takes the reason.
        options: of own data, as a run recorded them; anything but a table for none.
        side: what the network takes of a sample besides, without the batch axis.

    Returns:
        An array (N, ...); where there are side inputs a dictionary of such, with "x".
    """
    if not isinstance(data, str):
        return None
    options = options if isinstance(options, dict) else {}
    try:
        dataset = load_dataset(data, "train", data_dir, max(_SAMPLES, x.shape[0]), options).as_dtype(x.dtype)
    except (ConfigError, DataError, MissingExtraError) as error:
        tell(f"without samples of {data}: {error}")
        return None
    if dataset.input_shape != x.shape[1:]:
        tell(f"without samples of {data}: they have the shape {dataset.input_shape}, the network takes {x.shape[1:]}")
        return None
    if set(dataset.side_specs) != set(side):
        given, taken = (", ".join(spec.name for spec in specs) or "nothing" for specs in (dataset.side_specs, side))
        tell(f"without samples of {data}: they have {given} besides x, the network takes {taken}")
        return None
    rows = np.arange(len(dataset))
    return {"x": dataset.inputs(rows), **dataset.side_inputs(rows)} if side else dataset.inputs(rows)
