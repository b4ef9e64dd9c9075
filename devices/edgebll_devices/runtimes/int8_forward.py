"""The quantised forward pass of a block: x -> a with frozen int8 weights, on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgebll.kernel.bundle import INT8_GRAPH, Bundle
from edgebll.kernel.errors import BundleError, MissingExtraError
from edgebll.kernel.state.block_state import Array


class Int8Forward:
    """A block's int8 forward graph.

    Args:
        bundle: a bundle of `edgebll quantize`.
        block: the block's name.
        threads: threads of one call.

    Raises:
        BundleError: the bundle is not quantised, or the graph does not load. MissingExtraError: no ONNX Runtime.
    """

    def __init__(self, bundle: Bundle, block: str, *, threads: int = 1) -> None:
        if f"{block}/{INT8_GRAPH}.onnx" not in bundle.manifest.files:
            raise BundleError(f"{bundle.path} has no int8 graphs; make a bundle that has with `edgebll quantize`")
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtraError("int8 graphs need onnxruntime, which is not installed: pip install onnxruntime") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # errors come back as exceptions too
        try:
            content = bundle.graph(block, INT8_GRAPH)
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions have no base of their own
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise BundleError(f"{block}/{INT8_GRAPH}.onnx does not load ({reason}); quantise the bundle again") from error

    def evaluate(self, x: Array, inputs: Mapping[str, Array] | None = None) -> Array:
        """x (B, ...), as the block takes it, and side inputs by name, to a (B, ...) float32."""
        return np.asarray(self._session.run(["a"], {"x": x, **(inputs or {})})[0])

    def close(self) -> None:
        """Nothing is held but memory."""
