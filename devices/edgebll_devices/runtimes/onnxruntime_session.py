"""Loading a graph in ONNX Runtime so that equal inputs give equal bits."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.bundle.graph_signature import Signature, check_signature, signature
from edgebll.kernel.errors import BundleError
from edgebll.kernel.limits import usable_processors
from edgebll.kernel.spec.manifest import BlockSpec, TensorSpec

_log = logging.getLogger(__name__)

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}
#: Bytes of a block that is still small.
_SMALL = 1 << 20
_FATAL_ONLY = 4  # every error comes back as an exception too, and the log would go to stderr beside our sentence


def load_session(
    bundle: Bundle,
    spec: BlockSpec,
    graph: str,
    threads: int,
    providers: Sequence[Any] = ("CPUExecutionProvider",),
    *,
    record: bool = False,
) -> onnxruntime.InferenceSession:
    """Load a graph so that equal inputs give equal bits.

    Args:
        bundle: an opened bundle.
        spec: its manifest's entry of the block.
        graph: name of one of the block's graphs, e.g. "step".
        threads: of the processor.
        providers: what may compute it, in order of preference: names, or pairs of name and options.
        record: keep which provider computes which node, where ONNX Runtime can (1.24 and newer).

    Raises:
        BundleError: ONNX Runtime refuses the graph, or its inputs and outputs are not those of the block.
    """
    where = f"{bundle.path}/{spec.name}/{graph}.onnx"
    content = bundle.graph(spec.name, graph)
    try:
        options = _options(threads, small=_bytes(spec) <= _SMALL, record=record)
        if (
            graph == "step" and spec.metrics
        ):  # its constants are 0-1 and transform matrices: packing them makes products slower, and copies them
            options.add_session_config_entry("session.disable_prepacking", "1")
        session = onnxruntime.InferenceSession(content, options, providers=list(providers))
    except Exception as error:  # ONNX Runtime's exceptions have no base of their own
        raise BundleError(f"{where} does not load in ONNX Runtime ({first_line(error)}); export the bundle again") from error
    check_signature(where, signature(spec, graph), Signature(_specs(session.get_inputs()), _specs(session.get_outputs())))
    return session


def warn_of_cap(threads: int) -> None:
    """Say where there are too many threads for the processors, or OMP_NUM_THREADS keeps ONNX Runtime from starting them."""
    processors = usable_processors()
    if threads > math.ceil(processors):
        _log.warning("%d threads on %g processors wait for each other: steps may take many times as long", threads, processors)
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if limit.isdecimal() and 0 < int(limit) < threads:
        _log.warning("OMP_NUM_THREADS=%s keeps ONNX Runtime from using %d threads; unset it", limit, threads)


def _bytes(spec: BlockSpec) -> int:
    """Bytes of a block's state and of what its step takes and gives."""
    tensors = (*spec.state, spec.input, spec.output, *spec.received, *spec.sent)
    return sum(math.prod(tensor.shape) * np.dtype(tensor.dtype).itemsize for tensor in tensors)


def _options(threads: int, *, small: bool, record: bool) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    # One allocation for a whole run saves a tenth of the time of small steps, but comes on top of the pieces of the first run.
    options.enable_mem_pattern = small
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.use_deterministic_compute = True
    options.log_severity_level = _FATAL_ONLY
    # Within a step threads wait awake for the next operator; after it they sleep at once and leave the machine to others.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if record:
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return options


def _specs(arguments: list[Any]) -> tuple[TensorSpec, ...]:
    """ONNX Runtime's description of inputs or outputs; a size that is not fixed shows as 0, which no spec matches."""
    return tuple(
        TensorSpec(a.name, _DTYPES.get(a.type, a.type), tuple(n if isinstance(n, int) else 0 for n in a.shape))
        for a in arguments
    )


def first_line(error: Exception) -> str:
    """The first line of what an exception says."""
    return (str(error).splitlines() or [type(error).__name__])[0]
