"""Training steps on TensorRT: engines built on the board and cached, state on the GPU, CUDA graphs.

See docs/how-to/train-on-tensorrt.md.

Nothing of TensorRT or CUDA is loaded before a block is.
"""

from __future__ import annotations

from edgebll_devices.runtimes.tensorrt.block import TensorRTBlock
from edgebll_devices.runtimes.tensorrt.load import load_tensorrt_block

__all__ = ["TensorRTBlock", "load_tensorrt_block"]
