"""What runs on a board, or stands for one. No torch, no onnx; onnxruntime only once a block is loaded.

Programs of the user's own call blocks with what is named here; it is imported when it is asked for, as agents need none of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgebll_devices.block_access import load_block
    from edgebll_devices.trainable_block import TrainableBlock

__all__ = ["TrainableBlock", "load_block"]

_PLACES = {"TrainableBlock": "edgebll_devices.trainable_block", "load_block": "edgebll_devices.block_access"}


def __getattr__(name: str) -> Any:
    """Load a public name.

    Raises:
        AttributeError: there is none.
    """
    if name not in _PLACES:
        raise AttributeError(f"module 'edgebll_devices' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)
