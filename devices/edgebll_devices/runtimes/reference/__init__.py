"""The reference runtime: ONNX graphs in plain numpy, without the onnx package. Slow, short, and independent of ONNX Runtime."""

from __future__ import annotations

from edgebll_devices.runtimes.reference.block import ReferenceBlock

__all__ = ["ReferenceBlock"]
